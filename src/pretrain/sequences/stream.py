"""Token shards: raw little-endian unsigned integers without a header, read through memory maps.

The stream of a split is the concatenation of its shards. A shard ends where a document ends, never where a
sequence does, so a read may span shards.
"""

import mmap
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[Any]  # uint16 or uint32


def token_dtype(vocab_size: int) -> Literal["uint16", "uint32"]:
    """The smallest type that holds every token id: uint16 up to 65 536 tokens."""
    return "uint16" if vocab_size <= 1 << 16 else "uint32"


class TokenStream:
    """The tokens of one split as one array on disk. Picklable: maps are opened on first use in each process.

    Args:
        paths: local token shards in stream order.
        num_tokens: tokens of each shard.
        dtype: `uint16` or `uint32`, stored little-endian.
    """

    def __init__(self, paths: Sequence[Path], num_tokens: Sequence[int], dtype: str) -> None:
        self.paths = list(paths)
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.starts: list[int] = [0, *np.cumsum(num_tokens, dtype=np.int64).tolist()]
        self._maps: dict[int, Tokens] = {}

    def __len__(self) -> int:
        return self.starts[-1]

    def read(self, start: int, stop: int) -> Tokens:
        """Tokens [start, stop) of the stream: a read-only view, or a copy where they span shards."""
        part = bisect_right(self.starts, start, hi=len(self.paths)) - 1
        base = self.starts[part]
        if stop <= self.starts[part + 1]:
            return self._map(part)[start - base : stop - base]
        pieces = []
        while start < stop:
            end = min(stop, self.starts[part + 1])
            pieces.append(self._map(part)[start - self.starts[part] : end - self.starts[part]])
            start, part = end, part + 1
        return np.concatenate(pieces)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}}

    def _map(self, part: int) -> Tokens:
        known = self._maps.get(part)
        if known is None:
            known = self._maps[part] = _open_map(self.paths[part], self.dtype)
        return known


def _open_map(path: Path, dtype: np.dtype[Any]) -> Tokens:
    # A plain array over a map: slicing np.memmap costs microseconds for each of millions of sequences.
    with path.open("rb") as file:
        if path.stat().st_size == 0:  # an empty file cannot be mapped
            return np.empty(0, dtype)
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype)
