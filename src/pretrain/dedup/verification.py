"""The similarity of candidate pairs, computed once a pair.

By Jaccard: |A & B| / |A | B| of the two texts' sets of n-grams; whole texts count, also beyond `max_chars`. By
signature: the share of equal MinHash values.
"""

from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from pretrain.dedup.bands import PAIR_COLUMNS
from pretrain.dedup.kernels import count_common
from pretrain.dedup.shuffle import Slice, UInt64Array, bounds_of, read_slice, write_rows
from pretrain.errors import StageError
from pretrain.stage import Stats, UnitFiles

# A tenth of a second to some seconds of comparing pages of a thousand words.
MIN_PAIRS_PER_UNIT, MAX_PAIRS_PER_UNIT = 1 << 12, 1 << 16

LINK_COLUMNS = 3


class VerifyUnit(NamedTuple):
    """Some candidate pairs of one range.

    ngrams: names of the n-gram units of all pieces, which begin at `ngram_starts`.
    starts: as in `ExactGroupUnit`.
    is_jaccard: how pairs are compared.
    """

    name: str
    pairs: Slice
    ngrams: tuple[str, ...]
    ngram_starts: list[int]
    starts: list[int]
    is_jaccard: bool
    threshold: float
    budget_bytes: int


def verify_pairs(files: UnitFiles, unit: VerifyUnit) -> Stats:
    """Writes (left, right, bits of the similarity) of the pairs that reach the threshold, sorted."""
    pairs = read_slice(files, unit.pairs, PAIR_COLUMNS)
    sets = _Sets(files, unit)
    similarity = np.zeros(len(pairs))
    # By right document, so that its set is read once for all pairs of this unit.
    for position in np.lexsort((pairs[:, 0], pairs[:, 1])).tolist():
        left, right = (sets.of(index) for index in pairs[position].tolist())
        similarity[position] = jaccard(left, right) if unit.is_jaccard else float(np.mean(left == right))
    reached = similarity >= unit.threshold
    links = np.empty((int(reached.sum()), LINK_COLUMNS), np.uint64)
    links[:, :2], links[:, 2] = pairs[reached], similarity[reached].view(np.uint64)
    write_rows(files, unit.name, links)
    return {"files": [(unit.name, bounds_of(links[:, 0], unit.starts))], "verified_pairs": len(links)}


def jaccard(left: UInt64Array, right: UInt64Array) -> float:
    """The Jaccard similarity of two sets given as strictly increasing arrays; 0 for two empty sets."""
    common = count_common(left, right)
    union = len(left) + len(right) - common
    return common / union if union else 0.0


class _Sets:
    """The sets of candidates by document index; what was read last is kept, up to a quarter of the budget."""

    def __init__(self, files: UnitFiles, unit: VerifyUnit) -> None:
        self._files = files
        self._unit = unit
        self._starts = np.array(unit.ngram_starts)
        self._kept: OrderedDict[tuple[str, int], UInt64Array] = OrderedDict()
        self._num_bytes = 0

    def of(self, index: int) -> UInt64Array:
        kept = self._kept.get(("set", index))
        if kept is not None:
            self._kept.move_to_end(("set", index))
            return kept
        piece = int(np.searchsorted(self._starts, index, side="right")) - 1
        places = self._places(piece)
        row = int(np.searchsorted(places[:, 0], np.uint64(index)))
        if places[row, 0] != index:
            raise StageError(
                f"the n-grams in scratch lack those of document {index}: remove the folder of this dedup artifact, "
                "which has no manifest, and run the same command again"
            )
        first, last = (int(place) for place in places[row : row + 2, 1])
        values = read_slice(self._files, Slice(f"{self._unit.ngrams[piece]}-sets", first, last), 1)[:, 0]
        return self._keep(("set", index), values)

    def _places(self, piece: int) -> UInt64Array:
        kept = self._kept.get(("places", piece))
        if kept is not None:
            self._kept.move_to_end(("places", piece))
            return kept
        name = f"{self._unit.ngrams[piece]}-places"
        size = self._files.scratch(f"scratch/{name}.bin").stat().st_size
        return self._keep(("places", piece), read_slice(self._files, Slice(name, 0, size // 16), 2))

    def _keep(self, key: tuple[str, int], values: UInt64Array) -> UInt64Array:
        self._kept[key] = values
        self._num_bytes += values.nbytes
        while self._num_bytes > self._unit.budget_bytes // 4 and len(self._kept) > 2:
            self._num_bytes -= self._kept.popitem(last=False)[1].nbytes
        return values
