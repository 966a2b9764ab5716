"""Written tensor by tensor, the file is the one that safetensors writes."""

import io

import pytest
import torch
from safetensors.torch import save

from pretrain.modeling.safetensors_file import write_safetensors


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_bytes_are_those_of_safetensors(dtype):
    wanted = getattr(torch, dtype)
    tensors = {
        name: torch.randn(shape).to(wanted) for name, shape in {"b.10": (3, 5), "b.9": (7,), "a": (1, 1)}.items()
    }
    file, read = io.BytesIO(), []

    def get(name: str) -> torch.Tensor:
        read.append(name)
        return tensors[name].float()

    write_safetensors(file, {name: tuple(tensor.shape) for name, tensor in tensors.items()}, dtype, get)
    assert file.getvalue() == save(tensors, metadata={"format": "pt"})
    assert read == ["a", "b.10", "b.9"]


def test_views_are_written_as_they_look():
    tensor = torch.arange(6.0).reshape(2, 3)
    file = io.BytesIO()
    write_safetensors(file, {"t": (3, 2)}, "float32", lambda name: tensor.T)
    assert file.getvalue() == save({"t": tensor.T.contiguous()}, metadata={"format": "pt"})


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\), the header says \(6,\)"):
        write_safetensors(io.BytesIO(), {"t": (6,)}, "float32", lambda name: torch.ones(2, 3))
