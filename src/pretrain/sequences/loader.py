"""The training sequences of one split of a pack artifact."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pretrain.artifact import Artifact
from pretrain.errors import NotInStoreError
from pretrain.sequences.index import SequenceIndex, SplitIndex, TokenPart, read_index
from pretrain.sequences.layout import ConcatLayout, Layout, ListedLayout
from pretrain.sequences.stream import TokenStream


class TokenSequences:
    """The sequences of a split, memory-mapped: `len(s)` of them, `s[i]` is (sequence_length,) int64.

    Positions without a token of the stream, all at the end, hold the index's `padding_id`.

    Picklable: a data loader's worker re-opens the maps. Equal index and shards give equal sequences
    everywhere.

    Args:
        index: the artifact's index.
        split: `train` or `validation`.
        paths: a local path to each token shard of the split, in the order of the index; what belongs to a shard
            lies beside it.

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
        self.layout = _layout(index, entry, self.stream.starts, paths)

    @classmethod
    def from_artifact(cls, artifact: Artifact, split: str) -> "TokenSequences":
        """The sequences of a pack artifact; every shard is checked against the manifest.

        Raises:
            DamagedArtifactError: a shard differs from the manifest.
        """
        index = read_index(artifact)
        parts = _split(index, split).parts
        for path in (path for part in parts for path in part.beside(index)):
            artifact.open_part(path)
        return cls(index, split, [artifact.open_part(part.path) for part in parts])

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
        row: NDArray[np.int64] = self.batch([position % self.num_sequences])[0]
        return row

    def batch(self, positions: Sequence[int] | NDArray[Any]) -> NDArray[np.int64]:
        """The sequences at `positions` as one (len(positions), sequence_length) int64 array."""
        rows = np.empty((len(positions), self.sequence_length), dtype=np.int64)
        if self.index.layout == "concat":
            for row, position in zip(rows, positions, strict=True):
                start = int(position) * self.sequence_length
                stop = min(start + self.sequence_length, len(self.stream))
                row[: stop - start] = self.stream.read(start, stop)
                row[stop - start :] = self.index.padding_id
            return rows
        for row, position in zip(rows, positions, strict=True):
            filled = 0
            for start, length in self.layout.pieces(int(position)).tolist():
                row[filled : filled + length] = self.stream.read(start, start + length)
                filled += length
            row[filled:] = self.index.padding_id
        return rows

    def pieces(self, position: int) -> NDArray[np.int64]:
        """First token in the stream and number of tokens of each piece of a sequence, one document each, in order.

        Shape (pieces, 2); the numbers sum to sequence_length, or less where the sequence is padded.
        """
        return self.layout.pieces(int(position))

    def documents(self, positions: Sequence[int] | NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Position of each token in its piece, and number of its piece in the sequence.

        Both have the shape of `batch`; padding has position 0 and piece -1.
        """
        shape = (len(positions), self.sequence_length)
        position_ids, document_ids = np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
        for row, position in enumerate(positions):
            lengths = self.pieces(int(position))[:, 1]
            ends = np.cumsum(lengths)
            filled = int(ends[-1]) if len(ends) else 0
            document_ids[row, :filled] = np.repeat(np.arange(len(lengths)), lengths)
            position_ids[row, :filled] = np.arange(filled) - np.repeat(ends - lengths, lengths)
        return position_ids, document_ids


def _layout(index: SequenceIndex, entry: SplitIndex, starts: Sequence[int], paths: Sequence[Path]) -> Layout:
    def beside(name_of: Callable[[TokenPart], str]) -> list[Path]:
        return [path.with_name(Path(name_of(part)).name) for part, path in zip(entry.parts, paths, strict=True)]

    if index.layout == "concat":
        return ConcatLayout(index.sequence_length, starts, beside(lambda part: part.borders_path))
    rows, pieces = beside(lambda part: part.rows_path), beside(lambda part: part.pieces_path)
    return ListedLayout(starts, [part.sequences for part in entry.parts], rows, pieces)


def _split(index: SequenceIndex, split: str) -> SplitIndex:
    if split not in index.splits:
        raise NotInStoreError(f"no split {split!r} in the pack artifact; it has {sorted(index.splits)}")
    return index.splits[split]
