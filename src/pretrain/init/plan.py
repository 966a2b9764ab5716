"""A model before it is written: its config, where every tensor comes from, and the files to hold them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pretrain.errors import InputError
from pretrain.init.tensors import TensorSource
from pretrain.modeling.folders import BYTES_PER_ELEMENT, WEIGHTS, DType
from pretrain.modeling.parameters import tensor_shapes
from pretrain.modeling.shape import ModelShape

# One file is one unit of work and of resume: 1 GiB gives an 8B model 16 to 32 of them.
# It decides which files an artifact has, so a change of it raises the stage's VERSION.
MAX_FILE_BYTES = 1 << 30


@dataclass(frozen=True)
class ModelPlan:
    """A model to be: `config` as in config.json, where each of its tensors comes from by name, and the saved dtype."""

    config: Mapping[str, Any]
    tensors: Mapping[str, TensorSource]
    dtype: DType = "float32"

    @cached_property
    def shape(self) -> ModelShape:
        """The sizes that `config` states."""
        return ModelShape.from_config(self.config)

    def require_complete(self, origin: str) -> None:
        """Checks that the tensors are exactly those of the shape.

        Raises:
            InputError: one is missing, too many or of another shape; the message begins with `origin`.
        """
        expected = tensor_shapes(self.shape)
        missing = [name for name in expected if name not in self.tensors]
        unknown = [name for name in self.tensors if name not in expected]
        wrong = [name for name in expected if name in self.tensors and self.tensors[name].shape != expected[name]]
        if missing or unknown:
            kind, names = ("lacks", missing) if missing else ("has the unknown", unknown)
            raise InputError(
                f"{origin} {kind} tensor {names[0]} ({len(names)} such): its config.json and weights do not "
                "belong together; copy or save the model again"
            )
        if wrong:
            raise InputError(
                f"{origin} has {wrong[0]} of shape {list(self.tensors[wrong[0]].shape)}, but its config.json "
                f"says {list(expected[wrong[0]])}; copy or save the model again"
            )


@dataclass(frozen=True)
class WeightsFile:
    """One safetensors file to write: its name, and its tensors in the order of the forward pass."""

    name: str
    tensors: tuple[tuple[str, TensorSource], ...]


def weights_files(plan: ModelPlan, max_bytes: int = MAX_FILE_BYTES) -> list[WeightsFile]:
    """The weights cut into files of at most `max_bytes` of tensors (a larger tensor has a file to itself)."""
    groups: list[list[str]] = [[]]
    size = 0
    for name, shape in tensor_shapes(plan.shape).items():
        tensor_bytes = math.prod(shape) * BYTES_PER_ELEMENT[plan.dtype]
        if groups[-1] and size + tensor_bytes > max_bytes:
            groups.append([])
            size = 0
        groups[-1].append(name)
        size += tensor_bytes
    return [
        WeightsFile(_file_name(index, len(groups)), tuple((name, plan.tensors[name]) for name in names))
        for index, names in enumerate(groups, start=1)
    ]


def _file_name(number: int, total: int) -> str:
    return WEIGHTS if total == 1 else f"model-{number:05d}-of-{total:05d}.safetensors"
