"""Pairs of documents that are equal in at least one LSH band."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pretrain.dedup.config import KeepConfig
from pretrain.dedup.groups import DOCUMENTS_PER_PARTITION, group_equal, num_partitions, read_groups
from pretrain.dedup.keeper import COLUMNS, keeper_order
from pretrain.dedup.kernels import UInt64Array
from pretrain.dedup.signatures import Corpus, Int64Array, band_column, read_columns, read_rows
from pretrain.stage import Stats, UnitFiles

PAIRS = "scratch/candidates.npy"
DOCUMENTS = "scratch/candidate-documents.npy"


class BandUnit(NamedTuple):
    """Some bands, or one partition of the keys of one band."""

    corpus: Corpus
    name: str
    bands: tuple[int, ...]
    partition: int
    num_partitions: int
    words_groups: tuple[str, ...]
    max_bucket_leaders: int
    keep: KeepConfig


class MergeUnit(NamedTuple):
    """The pairs files to bring together."""

    names: tuple[str, ...]


def band_units(
    corpus: Corpus, num_bands: int, words_groups: tuple[str, ...], max_bucket_leaders: int, keep: KeepConfig
) -> list[BandUnit]:
    """Cuts the bands into units of bounded memory: several bands of a small corpus, or parts of one band."""
    partitions = num_partitions(corpus)
    together = 1 if partitions > 1 else DOCUMENTS_PER_PARTITION // max(1, int(corpus.starts[-1]))
    bands = [tuple(range(b, min(b + together, num_bands))) for b in range(0, num_bands, together)]
    return [
        BandUnit(
            corpus,
            f"pairs-{number:05d}",
            chosen,
            partition,
            partitions,
            words_groups,
            max_bucket_leaders,
            keep,
        )
        for number, (chosen, partition) in enumerate((b, p) for b in bands for p in range(partitions))
    ]


def pair_bands(files: UnitFiles, unit: BandUnit) -> Stats:
    """Writes the pairs of representatives that share a bucket of these bands; int64, shape (pairs, 2)."""
    groups = read_groups(files.scratch, unit.words_groups)
    represented = np.sort(groups[groups[:, 0] != groups[:, 1], 0])
    pairs, num_capped = [np.empty((0, 2), np.int64)], 0
    indices, keys = _read_bands(files, unit, represented)
    for band in range(len(unit.bands)):
        found, capped = _pair_buckets(files, unit, *group_equal(indices, keys[:, band : band + 1]))
        pairs.append(found)
        num_capped += capped
    with files.create(f"scratch/{unit.name}.npy") as output, output.path.open("wb") as file:
        rows = unique_pairs(np.concatenate(pairs))
        np.save(file, rows)
        output.rows = len(rows)
    return {"capped_buckets": num_capped}


def merge_pairs(files: UnitFiles, unit: MergeUnit) -> Stats:
    """Writes every candidate pair once, sorted (`PAIRS`), and the documents in them, sorted (`DOCUMENTS`)."""
    pairs = unique_pairs(np.concatenate([np.load(files.scratch(f"scratch/{name}.npy")) for name in unit.names]))
    for path, rows in ((PAIRS, pairs), (DOCUMENTS, np.unique(pairs))):
        with files.create(path) as output, output.path.open("wb") as file:
            np.save(file, rows)
            output.rows = len(rows)
    return {"candidate_pairs": len(pairs)}


def pairs_with_leaders(starts: NDArray[np.int64], max_leaders: int) -> tuple[Int64Array, Int64Array]:
    """Pairs every member of a bucket with the first members before it, `max_leaders` of them at most.

    Args:
        starts: for every member, the position at which its bucket begins; shape (members,).
        max_leaders: comparisons of one member.

    Returns:
        positions of the leaders and of the members paired with them.
    """
    positions = np.arange(len(starts))
    num_leaders = np.minimum(positions - starts, max_leaders)
    members = np.repeat(positions, num_leaders)
    before = np.cumsum(num_leaders) - num_leaders
    leaders = starts[members] + np.arange(len(members)) - before[members]
    return leaders, members


def unique_pairs(pairs: Int64Array) -> Int64Array:
    """The different rows of (pairs, 2), the smaller index left, sorted."""
    pairs = np.sort(pairs, axis=1)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    is_new = np.ones(len(pairs), np.bool_)
    is_new[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return pairs[is_new]


def _read_bands(files: UnitFiles, unit: BandUnit, represented: Int64Array) -> tuple[Int64Array, UInt64Array]:
    indices, keys = [np.empty(0, np.int64)], [np.empty((0, len(unit.bands)), np.uint64)]
    columns = ["num_words", *map(band_column, unit.bands)]
    for start, (num_words, *band_keys) in read_columns(files.scratch, unit.corpus, columns):
        # A corpus of several partitions has units of one band.
        wanted = (num_words > 0) & (band_keys[0] % np.uint64(unit.num_partitions) == unit.partition)
        first, last = np.searchsorted(represented, [start, start + len(num_words)])
        wanted[represented[first:last] - start] = False
        indices.append(np.flatnonzero(wanted) + start)
        keys.append(np.stack([key[wanted] for key in band_keys], axis=1))
    return np.concatenate(indices), np.concatenate(keys)


def _pair_buckets(files: UnitFiles, unit: BandUnit, members: Int64Array, starts: Int64Array) -> tuple[Int64Array, int]:
    sizes = np.bincount(starts, minlength=len(starts))
    is_capped = sizes > unit.max_bucket_leaders + 1
    if is_capped.any():
        # Leaders have to come first when keepers are chosen: a copy that is compared with leaders alone would
        # stay if it came before all of them. In smaller buckets the order makes no difference.
        in_capped = is_capped[starts]
        capped = np.unique(members[in_capped])
        order = keeper_order(read_rows(files.scratch, unit.corpus, capped, COLUMNS), unit.keep)
        rank = np.empty(len(capped), np.int64)
        rank[order] = np.arange(len(capped))
        within = np.arange(len(members))
        within[in_capped] = rank[np.searchsorted(capped, members[in_capped])]
        members = members[np.lexsort((within, starts))]
    leaders, others = pairs_with_leaders(starts, unit.max_bucket_leaders)
    return np.stack([members[leaders], members[others]], axis=1), int(is_capped.sum())
