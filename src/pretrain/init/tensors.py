"""Where each tensor of a model comes from: a recipe for its values, small and picklable until it is read.

Operations move these recipes about, so that surgery on a model of any size costs no memory, and no two
tensors can come to share storage.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pretrain.external import ExternalFile

if TYPE_CHECKING:
    import torch


class TensorSource(Protocol):
    """The values of one tensor, not yet in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    def read(self) -> "torch.Tensor":
        """The tensor on the CPU, in storage of its own."""


@dataclass(frozen=True)
class RandomNormal:
    """Draws from Normal(0, std) in float32, by a generator of the tensor's own.

    The generator is seeded from `seed` and `name`, so the values depend on neither the order in which tensors
    are made, nor on threads, shards or the device that the model will run on.

    Attributes:
        name: the tensor's name in the model that is initialised.
        shape: its shape.
        std: standard deviation.
        seed: of the recipe.
        zero_row: a row set to zero, as torch.nn.Embedding wants it of the padding token; None sets none.
    """

    name: str
    shape: tuple[int, ...]
    std: float
    seed: int
    zero_row: int | None = None

    def read(self) -> "torch.Tensor":
        """The draws, float32."""
        import torch

        generator = torch.Generator("cpu").manual_seed(tensor_seed(self.seed, self.name))
        values = torch.empty(self.shape, dtype=torch.float32, device="cpu")
        values.normal_(0.0, self.std, generator=generator)
        if self.zero_row is not None:
            values[self.zero_row] = 0.0
        return values


@dataclass(frozen=True)
class Constant:
    """One value everywhere: ones for the weights of norms, zeros for biases."""

    shape: tuple[int, ...]
    value: float

    def read(self) -> "torch.Tensor":
        """The constant tensor, float32."""
        import torch

        return torch.full(self.shape, self.value, dtype=torch.float32, device="cpu")


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a safetensors file."""

    file: ExternalFile
    name: str
    shape: tuple[int, ...]

    def read(self) -> "torch.Tensor":
        """The stored values, in the dtype of the file."""
        from safetensors import safe_open

        with safe_open(Path(self.file.location), framework="pt", device="cpu") as file:
            values: torch.Tensor = file.get_tensor(self.name)
        return values


def tensor_seed(seed: int, name: str) -> int:
    """The seed of a tensor's generator: 63 bits of sha256 over the recipe's seed and the tensor's name."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
