"""Exact duplicates: documents are shuffled by the hash of their text, and each partition finds its own.

A relation says that a document repeats another one, its keeper: (index, keeper's index, both halves of the keeper's
id, what follows). Relations are in order of index.
"""

from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from pretrain.dedup.config import KeepConfig
from pretrain.dedup.corpus import Group
from pretrain.dedup.keeper import KEY_COLUMNS, is_old, is_removable, keeper_keys, keeper_order
from pretrain.dedup.listing import EXACT_COLUMNS
from pretrain.dedup.shuffle import Int64Array, Slice, UInt64Array, bounds_of, read_slices, write_partitions, write_rows
from pretrain.stage import Stats, UnitFiles

RELATION_COLUMNS = 5
STAYS, GOES, GOES_WITHOUT_KEEPER = 0, 1, 2

# The hash, the keeper key and the index.
_ROW_COLUMNS = 2 + KEY_COLUMNS + 1


class ExactScatterUnit(NamedTuple):
    """The documents of one group of parts."""

    name: str
    group: Group
    keep: KeepConfig
    num_partitions: int


class ExactGroupUnit(NamedTuple):
    """One partition of hashes.

    starts: index of the first document of every group of parts, and the number of all documents last.
    """

    name: str
    slices: tuple[Slice, ...]
    keep: KeepConfig
    starts: list[int]


def scatter_exact(files: UnitFiles, unit: ExactScatterUnit) -> Stats:
    """Writes the hashes of a group, partition after partition."""
    rows = np.empty((unit.group.stop - unit.group.start, _ROW_COLUMNS), np.uint64)
    for part in unit.group.parts:
        table = pq.read_table(part.signatures(files, "documents"))
        chosen = rows[part.start - unit.group.start : part.stop - unit.group.start]
        for column, name in enumerate(EXACT_COLUMNS):
            chosen[:, column] = table[name].to_numpy()
        chosen[:, 2:-1] = keeper_keys(table, unit.keep, part.start, is_old=part.is_old)
    rows[:, -1] = np.arange(unit.group.start, unit.group.stop)
    partitions = (rows[:, 0] % np.uint64(unit.num_partitions)).astype(np.int64)
    return {"files": [(unit.name, write_partitions(files, unit.name, rows, partitions, unit.num_partitions))]}


def relate_exact(files: UnitFiles, unit: ExactGroupUnit) -> Stats:
    """Writes the relations of one partition; those between old documents were settled before."""
    rows = read_slices(files, unit.slices, _ROW_COLUMNS)
    rows = rows[keeper_order(rows[:, 2:], rows[:, 0], rows[:, 1])]
    firsts = first_of_group(rows[:, :2])
    repeats = np.flatnonzero((firsts != np.arange(len(rows))) & ~is_old(rows[:, 2:]))
    relations = _relations(rows, repeats, firsts[repeats])
    relations[:, -1] = np.where(is_removable(rows[repeats, 2:]), GOES, STAYS)
    if unit.keep.copies == "none":
        alone, others = np.unique(firsts[repeats], return_index=True)
        removable = is_removable(rows[alone, 2:])
        without = _relations(rows, alone[removable], repeats[others[removable]])
        without[:, -1] = GOES_WITHOUT_KEEPER
        relations = np.concatenate([relations, without])
    relations = relations[np.argsort(relations[:, 0], kind="stable")]
    write_rows(files, unit.name, relations)
    return {"files": [(unit.name, bounds_of(relations[:, 0], unit.starts))], "relations": len(relations)}


def first_of_group(sorted_keys: UInt64Array) -> Int64Array:
    """For rows that are sorted by key, shape (n, columns), the position of the first of equal ones. Shape (n,)."""
    is_first = np.ones(len(sorted_keys), np.bool_)
    is_first[1:] = (sorted_keys[1:] != sorted_keys[:-1]).any(axis=1)
    starts = np.flatnonzero(is_first)
    return np.repeat(starts, np.diff([*starts, len(sorted_keys)]))


def read_relations(files: UnitFiles, chosen: tuple[Slice, ...], start: int, stop: int) -> UInt64Array:
    """The relations of the documents from `start` up to `stop`, by index."""
    rows = read_slices(files, chosen, RELATION_COLUMNS)
    rows = rows[(rows[:, 0] >= start) & (rows[:, 0] < stop)]
    return rows[np.argsort(rows[:, 0], kind="stable")]


def _relations(rows: UInt64Array, positions: Int64Array, keepers: Int64Array) -> UInt64Array:
    found = np.empty((len(positions), RELATION_COLUMNS), np.uint64)
    found[:, 0], found[:, 1] = rows[positions, -1], rows[keepers, -1]
    found[:, 2:4] = rows[keepers, 4:6]
    return found
