"""Where each tensor of a model comes from: a recipe for its values, small and picklable until it is read.

Operations move these recipes about, so that surgery on a model of any size costs no memory, and no two
tensors can come to share storage.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pretrain.external import ExternalFile
from pretrain.modeling.folders import DType

if TYPE_CHECKING:
    import torch


_ROWS_AT_ONCE = 1024


class TensorSource(Protocol):
    """The values of one tensor, not yet in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    @property
    def file(self) -> ExternalFile | None:
        """The file that its values come from, or None where they come from none."""

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

    @property
    def file(self) -> ExternalFile | None:
        """None."""
        return None

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

    @property
    def file(self) -> ExternalFile | None:
        """None."""
        return None

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


@dataclass(frozen=True)
class Rounded:
    """A tensor in another dtype, what that loses lost."""

    source: TensorSource
    dtype: DType

    @property
    def shape(self) -> tuple[int, ...]:
        """The source's."""
        return self.source.shape

    @property
    def file(self) -> ExternalFile | None:
        """The source's."""
        return self.source.file

    def read(self) -> "torch.Tensor":
        """The source's values, rounded to nearest even."""
        import torch

        return self.source.read().to({"float32": torch.float32, "bfloat16": torch.bfloat16}[self.dtype])


@dataclass(frozen=True)
class RowOrigins:
    """Which old rows each new row is the mean of; none stands for all of them.

    Attributes:
        rows: old rows of all new ones, one after the other.
        starts: where in `rows` those of each new row begin, and their number last.
    """

    rows: tuple[int, ...]
    starts: tuple[int, ...]

    @classmethod
    def of(cls, origins: Sequence[Sequence[int]]) -> "RowOrigins":
        """The old rows of each new row."""
        rows: list[int] = []
        starts = [0]
        for old in origins:
            rows += old
            starts.append(len(rows))
        return cls(tuple(rows), tuple(starts))

    def __len__(self) -> int:
        return len(self.starts) - 1


@dataclass(frozen=True)
class MixedRows:
    """A matrix whose rows are rows, or means of rows, of another: the embedding of another vocabulary."""

    source: TensorSource
    origins: RowOrigins

    @property
    def shape(self) -> tuple[int, ...]:
        """(new rows, width)."""
        return (len(self.origins), *self.source.shape[1:])

    @property
    def file(self) -> ExternalFile | None:
        """The source's."""
        return self.source.file

    def read(self) -> "torch.Tensor":
        """The new rows, float32; a row of one origin is that row bit by bit."""
        import torch

        old = self.source.read().float()
        values = torch.empty(self.shape, dtype=torch.float32)
        rows, starts = torch.tensor(self.origins.rows, dtype=torch.int64), torch.tensor(self.origins.starts)
        counts = starts.diff()
        values[counts == 0] = old.mean(0)
        for count in sorted(set(counts.tolist())):
            if count == 0:
                continue
            targets = (counts == count).nonzero().flatten()
            for some in targets.split(_ROWS_AT_ONCE):  # all of 100,000 tokens at once would be gigabytes
                places = starts[some, None] + torch.arange(count)
                values[some] = old[rows[places]].mean(1) if count > 1 else old[rows[places[:, 0]]]
        return values


def tensor_seed(seed: int, name: str) -> int:
    """The seed of a tensor's generator: 63 bits of sha256 over the recipe's seed and the tensor's name."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
