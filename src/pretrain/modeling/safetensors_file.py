"""A safetensors file written tensor by tensor, so that one tensor is in memory at a time.

`safetensors.torch.save_file` wants all tensors of a file and copies each once more. The bytes here are the same as its.
Format: 8 bytes little-endian length of the header, the header as JSON padded with spaces to a multiple of 8, the data
(https://huggingface.co/docs/safetensors, "Format").
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from pretrain.modeling.folders import BYTES_PER_ELEMENT, DType

if TYPE_CHECKING:
    import torch

_DTYPE_NAMES: dict[DType, str] = {"float32": "F32", "bfloat16": "BF16"}
_ALIGNMENT_BYTES = 8


class Sink(Protocol):
    """What bytes are appended to."""

    def write(self, data: bytes | memoryview) -> int:
        """Appends all of `data`."""


def write_safetensors(
    sink: Sink, shapes: Mapping[str, tuple[int, ...]], dtype: DType, read: Callable[[str], "torch.Tensor"]
) -> None:
    """Writes the tensors of one dtype in order of name, as safetensors does.

    Args:
        sink: the file, at its start.
        shapes: of the tensors, by name.
        dtype: of all.
        read: the values of one tensor, on the CPU; called once for each name, in the order of the file.

    Raises:
        ValueError: a tensor has another shape than was said.
    """
    import torch

    sink.write(safetensors_header(shapes, dtype))
    wanted = {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype]
    for name in sorted(shapes):
        tensor = read(name).to(wanted).contiguous()
        if tuple(tensor.shape) != shapes[name]:
            raise ValueError(f"{name} has the shape {tuple(tensor.shape)}, the header says {shapes[name]}")
        values: Any = tensor.flatten().view(torch.uint8).numpy()
        sink.write(memoryview(values))
        del tensor, values


def safetensors_header(shapes: Mapping[str, tuple[int, ...]], dtype: DType) -> bytes:
    """What stands before the data of tensors of one dtype, which follow each other in order of name.

    Args:
        shapes: of the tensors, by name.
        dtype: of all.
    """
    # transformers refuses a file that does not say `pt`
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name in sorted(shapes):
        stop = start + math.prod(shapes[name]) * BYTES_PER_ELEMENT[dtype]
        entries[name] = {"dtype": _DTYPE_NAMES[dtype], "shape": list(shapes[name]), "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT_BYTES)
    return len(text).to_bytes(8, "little") + text
