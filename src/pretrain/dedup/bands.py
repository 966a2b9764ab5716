"""LSH: representatives are shuffled by the key of every band, and documents with one key become candidate pairs."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from pretrain.dedup.config import KeepConfig
from pretrain.dedup.corpus import CorpusPart, Group
from pretrain.dedup.exact import first_of_group
from pretrain.dedup.keeper import KEY_COLUMNS, keeper_keys, keeper_order
from pretrain.dedup.shuffle import Int64Array, Slice, UInt64Array, bounds_of, read_slices, write_rows
from pretrain.dedup.signatures import band_column
from pretrain.dedup.words import STANDS_FOR_GHOST, ghosts, read_same_words
from pretrain.stage import Stats, UnitFiles

# The band key, the keeper key, what the document is, and the index.
_ROW_COLUMNS = 1 + KEY_COLUMNS + 2
PAIR_COLUMNS = 2
_NEW, _GHOST, _OLD = 0, 1, 2
# A pair with the copies that sorting makes.
_PAIR_BYTES = 64


class BandScatterUnit(NamedTuple):
    """The documents of one group of parts; `same_words` of that group."""

    name: str
    group: Group
    same_words: tuple[Slice, ...]
    keep: KeepConfig
    num_bands: int
    num_partitions: int


class BandUnit(NamedTuple):
    """Some partitions of band keys, each a tuple of slices; `starts` as in `ExactGroupUnit`."""

    name: str
    partitions: tuple[tuple[Slice, ...], ...]
    max_bucket_leaders: int
    starts: list[int]
    budget_bytes: int


def scatter_bands(files: UnitFiles, unit: BandScatterUnit) -> Stats:
    """Writes the keys of a group's representatives, band after band and in each partition after partition."""
    parts = [_representatives(files, unit, part) for part in unit.group.parts]
    rows = np.concatenate([rows for rows, _ in parts])
    bounds = [0]
    with files.create(f"scratch/{unit.name}.bin") as output, output.path.open("wb") as file:
        for band in range(unit.num_bands):
            columns = [
                pq.read_table(part.signatures(files, "minhash"), columns=[band_column(band)])[0].to_numpy()[chosen]
                for part, (_, chosen) in zip(unit.group.parts, parts, strict=True)
            ]
            rows[:, 0] = np.concatenate(columns)
            partitions = (rows[:, 0] % np.uint64(unit.num_partitions)).astype(np.int64)
            rows[np.argsort(partitions, kind="stable")].tofile(file)
            counts = np.bincount(partitions, minlength=unit.num_partitions)
            bounds += (bounds[-1] + np.cumsum(counts)).tolist()
        output.rows = bounds[-1]
    return {"files": [(unit.name, bounds)]}


def pair_buckets(files: UnitFiles, unit: BandUnit) -> Stats:
    """Writes the pairs of documents that share a bucket, sorted, in files of bounded size."""
    written: list[tuple[str, list[int]]] = []
    num_capped, num_pairs = 0, 0
    for chosen in unit.partitions:
        rows = read_slices(files, chosen, _ROW_COLUMNS)
        rows = rows[keeper_order(rows[:, [1, 2, 3, 4, 6]], rows[:, 0])]
        starts = first_of_group(rows[:, :1])
        num_capped += int((np.bincount(starts) > unit.max_bucket_leaders + 1).sum())
        for leaders, members in pairs_with_leaders(starts, unit.max_bucket_leaders, unit.budget_bytes // _PAIR_BYTES):
            pairs = _worth_comparing(rows[leaders], rows[members])
            if len(pairs):
                name = f"{unit.name}-{len(written)}"
                write_rows(files, name, pairs)
                written.append((name, bounds_of(pairs[:, 0], unit.starts)))
                num_pairs += len(pairs)
    return {"files": written, "capped_buckets": num_capped, "bucket_pairs": num_pairs}


def pairs_with_leaders(starts: Int64Array, max_leaders: int, max_pairs: int) -> Iterator[tuple[Int64Array, Int64Array]]:
    """Pairs every member of a bucket with the first members before it, `max_leaders` of them at most.

    Args:
        starts: for every member, the position at which its bucket begins; shape (members,).
        max_leaders: comparisons of one member.
        max_pairs: of one answer, about.

    Yields:
        positions of leaders and of the members paired with them.
    """
    num_leaders = np.minimum(np.arange(len(starts)) - starts, max_leaders)
    total = np.cumsum(num_leaders)
    cuts = np.searchsorted(total, np.arange(0, int(total[-1]) if len(total) else 0, max_pairs), side="right")
    for first, last in pairwise([*cuts.tolist(), len(starts)]):
        members = np.repeat(np.arange(first, last), num_leaders[first:last])
        before = np.cumsum(num_leaders[first:last]) - num_leaders[first:last]
        yield starts[members] + np.arange(len(members)) - before[members - first], members


def unique_rows(rows: UInt64Array) -> UInt64Array:
    """The different rows of (n, 2), sorted."""
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    different: UInt64Array = rows[first_of_group(rows) == np.arange(len(rows))]
    return different


def _worth_comparing(leaders: UInt64Array, members: UInt64Array) -> UInt64Array:
    """Pairs of indices, the smaller left, sorted; neither ghosts nor two old documents, which were compared before."""
    left, right = leaders[:, -2], members[:, -2]
    chosen = (left != _GHOST) & (right != _GHOST) & ((left == _NEW) | (right == _NEW))
    return unique_rows(np.sort(np.stack([leaders[chosen, -1], members[chosen, -1]], axis=1), axis=1))


def _representatives(files: UnitFiles, unit: BandScatterUnit, part: CorpusPart) -> tuple[UInt64Array, Int64Array]:
    """Rows without band keys, and where in the part each stands."""
    same = read_same_words(files, unit.same_words)
    same = same[(same[:, 0] >= part.start) & (same[:, 0] < part.stop)]
    num_units = pq.read_table(part.signatures(files, "minhash"), columns=["num_units"])[0].to_numpy()
    rows = np.zeros((part.num_documents, _ROW_COLUMNS), np.uint64)
    keys = keeper_keys(pq.read_table(part.signatures(files, "documents")), unit.keep, part.start, is_old=part.is_old)
    states = np.where(ghosts(files, part), _GHOST, _OLD if part.is_old else _NEW)
    rows[:, 1:-2], rows[:, -2], rows[:, -1] = keys, states, np.arange(part.start, part.stop)
    is_taken = num_units > 0
    places = same[:, 0].astype(np.int64) - part.start
    stands = same[:, 2] == STANDS_FOR_GHOST
    is_taken[places[~stands]] = False
    rows[places[stands], -2], rows[places[stands], -1] = _NEW, same[stands, 1]
    positions = np.flatnonzero(is_taken)
    return rows[positions], positions
