"""Where in the stream of a split the tokens of each sequence lie: pieces, each of one document."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Int64Array = NDArray[np.int64]


class Layout(Protocol):
    """The pieces of each sequence."""

    def pieces(self, position: int) -> Int64Array:
        """First token in the stream and number of tokens of each piece of a sequence, in order. Shape (pieces, 2)."""


class ConcatLayout:
    """Sequence i is tokens [i * length, (i + 1) * length) of the stream, as far as it goes.

    Args:
        length: positions of a sequence.
        starts: first token of each shard, and the number of tokens last.
        borders: local files of where the documents of each shard begin, see `TokenPart.borders_path`.
    """

    def __init__(self, length: int, starts: Sequence[int], borders: Sequence[Path]) -> None:
        self._length = length
        self._starts = starts
        self._borders = _Arrays(borders)

    def pieces(self, position: int) -> Int64Array:
        """As in `Layout`."""
        first = position * self._length
        stop = min(first + self._length, self._starts[-1])
        cuts = [np.array([first], np.int64)]
        for shard in range(bisect_right(self._starts, first) - 1, bisect_left(self._starts, stop)):
            borders, base = self._borders[shard], self._starts[shard]
            inside = borders[borders.searchsorted(first - base, "right") : borders.searchsorted(stop - base)]
            cuts.append(inside + base)
        starts = np.concatenate(cuts)
        found = np.empty((len(starts), 2), np.int64)
        found[:, 0], found[:-1, 1], found[-1, 1] = starts, starts[1:] - starts[:-1], stop - starts[-1]
        return found[found[:, 1] > 0]  # a document without a token begins where the next one does


class ListedLayout:
    """Sequences are what the files beside the shards say.

    Args:
        starts: first token of each shard, and the number of tokens last.
        num_sequences: of each shard.
        rows: local files, see `TokenPart.rows_path`.
        pieces: local files, see `TokenPart.pieces_path`.
    """

    def __init__(
        self, starts: Sequence[int], num_sequences: Sequence[int], rows: Sequence[Path], pieces: Sequence[Path]
    ) -> None:
        self._starts = starts
        self._firsts: list[int] = [0, *np.cumsum(num_sequences, dtype=np.int64).tolist()]
        self._rows = _Arrays(rows)
        self._pieces = _Arrays(pieces)

    def pieces(self, position: int) -> Int64Array:
        """As in `Layout`."""
        shard = bisect_right(self._firsts, position) - 1
        row = position - self._firsts[shard]
        first, last = self._rows[shard][row : row + 2].tolist()
        found = self._pieces[shard][first:last].astype(np.int64)
        found[:, 0] += self._starts[shard]
        return found


class _Arrays:
    """Memory maps of .npy files, opened on first use in each process."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self._opened: dict[int, NDArray[np.int64]] = {}

    def __getitem__(self, number: int) -> NDArray[np.int64]:
        known = self._opened.get(number)
        if known is None:
            known = self._opened[number] = np.asarray(np.load(self._paths[number], mmap_mode="r", allow_pickle=False))
        return known

    def __getstate__(self) -> dict[str, Any]:
        return {"_paths": self._paths, "_opened": {}}
