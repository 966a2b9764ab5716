"""The training sequences of one split of a pack artifact."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pretrain.artifact import Artifact
from pretrain.errors import NotInStoreError
from pretrain.sequences.index import SequenceIndex, SplitIndex, read_index
from pretrain.sequences.stream import TokenStream


class TokenSequences:
    """The sequences of a split, memory-mapped: `len(s)` of them, `s[i]` is (sequence_length,) int64.

    Picklable: a data loader's worker re-opens the maps. Equal index and shards give equal sequences
    everywhere.

    Args:
        index: the artifact's index.
        split: `train` or `validation`.
        paths: a local path to each token shard of the split, in the order of the index.

    Raises:
        NotInStoreError: the index has no such split.
    """

    def __init__(self, index: SequenceIndex, split: str, paths: Sequence[Path]) -> None:
        entry = _split(index, split)
        self.index = index
        self.split = split
        self.sequence_length = index.sequence_length
        self.num_sequences = entry.sequences
        self.stream = TokenStream(paths, [part.tokens for part in entry.parts], index.dtype)

    @classmethod
    def from_artifact(cls, artifact: Artifact, split: str) -> "TokenSequences":
        """The sequences of a pack artifact; every shard is checked against the manifest.

        Raises:
            DamagedArtifactError: a shard differs from the manifest.
        """
        index = read_index(artifact)
        return cls(index, split, [artifact.open_part(part.path) for part in _split(index, split).parts])

    @classmethod
    def from_folder(cls, folder: Path, split: str) -> "TokenSequences":
        """The sequences of a pack artifact's local folder, unchecked: for a process handed its path."""
        index = read_index(folder)
        return cls(index, split, [folder / part.path for part in _split(index, split).parts])

    def __len__(self) -> int:
        return self.num_sequences

    def __getitem__(self, position: int) -> NDArray[np.int64]:
        if not -self.num_sequences <= position < self.num_sequences:
            raise IndexError(f"sequence {position} of {self.num_sequences} in split {self.split!r}")
        start = int(position % self.num_sequences) * self.sequence_length
        return self.stream.read(start, start + self.sequence_length).astype(np.int64)

    def batch(self, positions: Sequence[int] | NDArray[Any]) -> NDArray[np.int64]:
        """The sequences at `positions` as one (len(positions), sequence_length) int64 array."""
        rows = np.empty((len(positions), self.sequence_length), dtype=np.int64)
        for row, position in zip(rows, positions, strict=True):
            start = int(position) * self.sequence_length
            row[:] = self.stream.read(start, start + self.sequence_length)
        return rows


def _split(index: SequenceIndex, split: str) -> SplitIndex:
    if split not in index.splits:
        raise NotInStoreError(f"no split {split!r} in the pack artifact; it has {sorted(index.splits)}")
    return index.splits[split]
