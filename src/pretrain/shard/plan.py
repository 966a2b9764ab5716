"""Where each document goes: its split, how often it is there, its place in the split's order, and the target of that.

Each document has two 64-bit hashes of (seed, id): one decides the split, the other its place when shuffled, and by a
mixing function also the places of its repeats and the draw of a fractional epoch. All are the same whatever else is in
the corpus, so that parts of any number and size give the same result.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pretrain.shard.records import Keys, Records

SPLITS = ("train", "validation")

# Of SplitMix64 (Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators, figure 15).
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
# Any constant that is no small multiple of it: the draws must not be the places of repeats.
_DRAW = np.uint64(0xD1B54A32D192ED03)
_NUM_BINS = 1 << 16


class SplitPlan(NamedTuple):
    """One split in parts, each part in slices of about the same number of rows.

    part_sizes: rows of each part.
    slices: of each part; every slice is a target.
    boundaries: the smallest order key of each target but the first.
    """

    num_rows: int
    part_sizes: list[int]
    slices: list[int]
    boundaries: Keys


class Placement(NamedTuple):
    """The rows that an input part gives: repeats stand beside each other.

    rows: (num_rows,) int64, the document in its part.
    keys: (num_rows,) uint64, the place in the order of its split.
    in_validation: (num_rows,) bool.
    copies: (num_documents,) int64, how many rows each document has.
    """

    rows: NDArray[np.int64]
    keys: Keys
    in_validation: NDArray[np.bool_]
    copies: NDArray[np.int64]


class Rules(NamedTuple):
    """What decides where documents go, the same for every input part.

    threshold: a document is in validation iff its split hash is below.
    kept: the documents that are kept, as a range of places in the order of arrival.
    epochs: by source, of those that have another number than 1.
    weights: that multiply the epochs, by size class (0: no cluster of a size that is weighted).
    num_documents: of the corpus, where the order is that of arrival; None when it is shuffled.
    """

    threshold: int
    kept: range
    epochs: Mapping[str, float]
    weights: tuple[float, ...]
    num_documents: int | None

    def place(self, records: Records) -> Placement:
        """Where the documents of an input part go."""
        copies = self.copies(records)
        rows = np.repeat(np.arange(len(copies)), copies)
        repeat = np.arange(len(rows)) - np.repeat(np.cumsum(copies) - copies, copies)
        if self.num_documents is None:
            keys = np.array(records.hashes[:, 1])[rows]
            again = repeat > 0
            keys[again] = mix64(keys[again] + repeat[again].astype(np.uint64) * _GAMMA)
        else:
            keys = (repeat * self.num_documents + records.first_arrival + rows).astype(np.uint64)
        return Placement(rows, keys, self.in_validation(records)[rows], copies)

    def copies(self, records: Records) -> NDArray[np.int64]:
        """How many rows each document of an input part has: `floor(epochs + draw)` in train, the draw in [0, 1)."""
        copies = np.ones(len(records.hashes), np.int64)
        if records.traits is not None:
            copies = np.floor(self.epochs_of(records, records.traits) + draws(records)).astype(np.int64)
        copies[self.in_validation(records)] = 1
        copies[~self.is_kept(records)] = 0
        return copies

    def epochs_of(self, records: Records, traits: NDArray[np.void]) -> NDArray[np.float64]:
        """The epochs of each document of an input part, were it in train."""
        by_source = np.array([self.epochs.get(source, 1.0) for source in records.sources])
        epochs: NDArray[np.float64] = by_source[traits["source"]] * np.array(self.weights)[traits["size_class"]]
        return epochs

    def in_validation(self, records: Records) -> NDArray[np.bool_]:
        """Which documents of an input part are in validation."""
        below: NDArray[np.bool_] = records.hashes[:, 0] < np.uint64(self.threshold)
        return below

    def is_kept(self, records: Records) -> NDArray[np.bool_]:
        """Which documents of an input part are in the shard that is kept."""
        arrivals = records.first_arrival + np.arange(len(records.hashes))
        inside: NDArray[np.bool_] = (arrivals >= self.kept.start) & (arrivals < self.kept.stop)
        inside &= (arrivals - self.kept.start) % self.kept.step == 0
        return inside


class ShardPlan(NamedTuple):
    """The whole cut. Targets are numbered over both splits: those of train first, then those of validation."""

    rules: Rules
    train: SplitPlan
    validation: SplitPlan

    def targets(self, placement: Placement) -> NDArray[np.int64]:
        """The target of each row."""
        train = np.searchsorted(self.train.boundaries, placement.keys, side="right")
        validation = np.searchsorted(self.validation.boundaries, placement.keys, side="right")
        targets: NDArray[Any] = np.where(placement.in_validation, sum(self.train.slices) + validation, train)
        return targets.astype(np.int64)


def mix64(values: Keys) -> Keys:
    """SplitMix64's output function: a bijection of uint64 whose results look independent of each other."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def draws(records: Records) -> NDArray[np.float64]:
    """One number of [0, 1) for each document, uniform.

    32 bits of it, so that its sum with a whole number is exact: one epoch takes every document once.
    """
    return (mix64(records.hashes[:, 1] ^ _DRAW) >> np.uint64(32)).astype(np.float64) * 2.0**-32


def validation_threshold(hashes: Callable[[], Iterator[Keys]], fraction: float) -> int:
    """The split hash that validation ends before.

    Args:
        hashes: yields the split hashes of the documents that are kept, input part by input part.
        fraction: of the documents, expected.
    """
    smallest, largest = 2**64, -1
    for keys in hashes() if fraction else ():
        if len(keys):
            smallest, largest = min(smallest, int(keys.min())), max(largest, int(keys.max()))
    if largest < 0:
        return 0
    # Above the smallest hash and not above the largest: a document on either side of a corpus of two or more.
    return min(max(int(fraction * 2.0**64), smallest + 1), largest)


def cut(keys: Callable[[], Iterator[Keys]], part_sizes: list[int], rows_of_slice: int) -> SplitPlan:
    """Cuts a split into parts of the given sizes, and those into slices.

    Args:
        keys: yields the order keys of the rows of the split, input part by input part; called three times.
        part_sizes: rows of each part, all together those of the split.
        rows_of_slice: at most so many rows are in a slice.
    """
    slices = [-(-size // rows_of_slice) for size in part_sizes]
    sizes = [rows for size, number in zip(part_sizes, slices, strict=True) for rows in even_sizes(size, number)]
    ranks = np.cumsum([0, *sizes], dtype=np.int64)[1:-1]
    return SplitPlan(sum(part_sizes), part_sizes, slices, keys_at(keys, ranks))


def keys_at(keys: Callable[[], Iterator[Keys]], ranks: NDArray[np.int64]) -> Keys:
    """The keys that stand at the given places (ascending, from 0) in the order of all keys.

    They are found by a histogram; of all keys only those are held that share one of its 65,536 bins with a result.
    """
    if not len(ranks):
        return np.empty(0, np.uint64)
    largest = max(int(part.max()) for part in keys() if len(part))
    shift = np.uint64(max(0, largest.bit_length() - 16))
    histogram = np.zeros(_NUM_BINS, np.int64)
    for part in keys():
        histogram += np.bincount((part >> shift).astype(np.int64), minlength=_NUM_BINS)
    ends = np.cumsum(histogram)
    bins = np.searchsorted(ends, ranks, side="right")
    is_wanted = np.zeros(_NUM_BINS, np.bool_)
    is_wanted[bins] = True
    held = np.sort(np.concatenate([part[is_wanted[part >> shift]] for part in keys()]))
    held_before = np.cumsum(histogram * is_wanted) - histogram * is_wanted
    found: Keys = held[held_before[bins] + ranks - (ends - histogram)[bins]]
    return found


def even_sizes(total: int, parts: int) -> list[int]:
    """Sizes of `total` items in at most `parts` parts that differ by at most one, the larger first."""
    parts = min(parts, total)
    return [total // parts + (index < total % parts) for index in range(parts)]


def kept_range(num_documents: int, num_shards: int, index: int, *, contiguous: bool) -> range:
    """The places of one shard of a corpus, as `datasets.Dataset.shard` cuts it."""
    if not contiguous:
        return range(index, num_documents, num_shards)
    each, longer = divmod(num_documents, num_shards)
    start = each * index + min(index, longer)
    return range(start, start + each + (index < longer))


def split_sizes(records: Sequence[Records], rules: Rules) -> tuple[int, int]:
    """The rows of train and of validation."""
    train = validation = 0
    for part in records:
        copies, is_validation = rules.copies(part), rules.in_validation(part)
        validation += int(copies[is_validation].sum())
        train += int(copies[~is_validation].sum())
    return train, validation
