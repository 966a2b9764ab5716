"""Documents with the same words (or characters): one of them stands for all in LSH and in verification.

They have the same n-gram set, so a page that occurs a million times is compared once. The first in keeper order is
the representative. Where that is an old document which is gone (a ghost), the first that is not takes its place.
"""

from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from pretrain.dedup.config import KeepConfig
from pretrain.dedup.corpus import CorpusPart, Group
from pretrain.dedup.exact import first_of_group
from pretrain.dedup.keeper import KEY_COLUMNS, keeper_keys, keeper_order
from pretrain.dedup.shuffle import Int64Array, Slice, UInt64Array, bounds_of, read_slices, write_partitions, write_rows
from pretrain.dedup.signatures import UNITS_COLUMNS
from pretrain.dedup.texts import surviving_rows
from pretrain.stage import Stats, UnitFiles

# The hash, the keeper key, whether it is a ghost, and the index.
_ROW_COLUMNS = 2 + KEY_COLUMNS + 2
SAME_WORDS_COLUMNS = 3
REPRESENTED, STANDS_FOR_GHOST, GHOST = 0, 1, 2


class WordsScatterUnit(NamedTuple):
    """The documents of one group of parts."""

    name: str
    group: Group
    keep: KeepConfig
    num_partitions: int


class WordsGroupUnit(NamedTuple):
    """One partition of hashes; `starts` as in `ExactGroupUnit`."""

    name: str
    slices: tuple[Slice, ...]
    starts: list[int]


def scatter_words(files: UnitFiles, unit: WordsScatterUnit) -> Stats:
    """Writes the hashes of a group's documents that have words, partition after partition."""
    found = []
    for part in unit.group.parts:
        signed = pq.read_table(part.signatures(files, "minhash"), columns=["num_units", *UNITS_COLUMNS])
        rows = np.empty((part.num_documents, _ROW_COLUMNS), np.uint64)
        rows[:, 0], rows[:, 1] = (signed[name].to_numpy() for name in UNITS_COLUMNS)
        listed = pq.read_table(part.signatures(files, "documents"))
        rows[:, 2:-2] = keeper_keys(listed, unit.keep, part.start, is_old=part.is_old)
        rows[:, -2] = ghosts(files, part)
        rows[:, -1] = np.arange(part.start, part.stop)
        found.append(rows[signed["num_units"].to_numpy() > 0])
    rows = np.concatenate(found)
    partitions = (rows[:, 0] % np.uint64(unit.num_partitions)).astype(np.int64)
    return {"files": [(unit.name, write_partitions(files, unit.name, rows, partitions, unit.num_partitions))]}


def group_words(files: UnitFiles, unit: WordsGroupUnit) -> Stats:
    """Writes (index, representative, kind) of every document that another one stands for, in order of index.

    A kind is `REPRESENTED`, or `GHOST` where that document is one. Where a ghost is first, its kind is
    `STANDS_FOR_GHOST`: the representative takes its place, which matters in a bucket that is cut to its first
    members, and has a row of its own, so that it has no other.
    """
    rows = read_slices(files, unit.slices, _ROW_COLUMNS)
    rows = rows[keeper_order(rows[:, [2, 3, 4, 5, 7]], rows[:, 0], rows[:, 1])]
    firsts, own = first_of_group(rows[:, :2]), np.arange(len(rows))
    chosen = _first_living(firsts, rows[:, -2] == 0)
    is_row = (firsts != own) | (chosen != own)
    kinds = np.where(rows[:, -2] != 0, GHOST, REPRESENTED)
    kinds[(firsts == own) & (chosen != own)] = STANDS_FOR_GHOST
    pairs = np.stack([rows[is_row, -1], rows[chosen[is_row], -1], kinds[is_row].astype(np.uint64)], axis=1)
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    write_rows(files, unit.name, pairs)
    return {"files": [(unit.name, bounds_of(pairs[:, 0], unit.starts))], "represented": len(pairs)}


def ghosts(files: UnitFiles, part: CorpusPart) -> np.ndarray:
    """For every row of a part, whether its document went in the run that made it. Shape (num_documents,)."""
    is_ghost = np.zeros(part.num_documents, np.bool_)
    if part.is_old:
        is_ghost[:] = True
        is_ghost[surviving_rows(files, part)] = False
    return is_ghost


def read_same_words(files: UnitFiles, chosen: tuple[Slice, ...]) -> UInt64Array:
    """The rows of `group_words` for a group of parts, by index."""
    rows = read_slices(files, chosen, SAME_WORDS_COLUMNS)
    return rows[np.argsort(rows[:, 0], kind="stable")]


def _first_living(firsts: Int64Array, is_living: np.ndarray) -> Int64Array:
    """For every row, the first of its group that is no ghost, or the first of all where there is none."""
    if not len(firsts):
        return firsts
    none = len(firsts)
    living = np.where(is_living, np.arange(none), none)
    starts = np.unique(firsts)
    found = np.full(none, none)
    found[starts] = np.minimum.reduceat(living, starts)
    return np.where(found[firsts] == none, firsts, found[firsts])
