"""Brings what is known about related documents together, shuffled by component, for the decision."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pretrain.dedup.components import COMPONENT_COLUMNS
from pretrain.dedup.config import KeepConfig
from pretrain.dedup.corpus import Group
from pretrain.dedup.exact import RELATION_COLUMNS, read_relations
from pretrain.dedup.keeper import KEY_COLUMNS, keeper_keys
from pretrain.dedup.shuffle import Int64Array, Slice, UInt64Array, read_slices, write_partitions
from pretrain.dedup.verification import LINK_COLUMNS
from pretrain.dedup.words import REPRESENTED, read_same_words
from pretrain.stage import Stats, UnitFiles

# Index, keeper key, number of the source, keeper of an exact duplicate and what follows, representative of its words.
DOCUMENT_COLUMNS = 1 + KEY_COLUMNS + 1 + 2 + 1
NOTHING = (1 << 64) - 1

# An odd multiplier whose high bits are well mixed (Fibonacci hashing).
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


class RelationScatterUnit(NamedTuple):
    """The related documents of one group of parts, and the slices of its rows in what earlier phases wrote.

    sources: number of every source.
    """

    name: str
    group: Group
    components: tuple[Slice, ...]
    exact: tuple[Slice, ...]
    same_words: tuple[Slice, ...]
    links: tuple[Slice, ...]
    sources: Mapping[str, int]
    keep: KeepConfig
    num_partitions: int


class Related(NamedTuple):
    """Documents in keeper order, and their verified pairs.

    indices: document index. Shape (n,).
    keys: keeper keys. Shape (n, 4).
    sources: number of the source. Shape (n,).
    exact: position of the keeper of an exact duplicate, or -1. Shape (n,).
    exact_code: `STAYS`, `GOES` or `GOES_WITHOUT_KEEPER`. Shape (n,).
    words: position of the first document with the same words; its own where there is none. Shape (n,).
    left, right: positions of the documents of every pair. Shape (pairs,).
    similarity: of every pair. Shape (pairs,).
    """

    indices: Int64Array
    keys: UInt64Array
    sources: Int64Array
    exact: Int64Array
    exact_code: Int64Array
    words: Int64Array
    left: Int64Array
    right: Int64Array
    similarity: NDArray[np.float64]


def scatter_relations(files: UnitFiles, unit: RelationScatterUnit) -> Stats:
    """Writes the documents and the links of a group, partition after partition of components."""
    found = read_slices(files, unit.components, COMPONENT_COLUMNS)
    documents = np.full((len(found), DOCUMENT_COLUMNS), NOTHING, np.uint64)
    documents[:, 0] = found[:, 0]
    for part in unit.group.parts:
        first, last = np.searchsorted(found[:, 0], np.array([part.start, part.stop], np.uint64))
        if last > first:
            table = pq.read_table(part.signatures(files, "documents"))
            rows = found[first:last, 0].astype(np.int64) - part.start
            keys = keeper_keys(table, unit.keep, part.start, is_old=part.is_old)
            documents[first:last, 1:5] = keys[rows]
            names = table["source"].take(rows).to_pylist()
            documents[first:last, 5] = [unit.sources.get(name, len(unit.sources)) for name in names]
    exact = read_relations(files, unit.exact, unit.group.start, unit.group.stop)
    documents[np.searchsorted(found[:, 0], exact[:, 0]), 6:8] = exact[:, [1, RELATION_COLUMNS - 1]]
    same = read_same_words(files, unit.same_words)
    same = same[same[:, 2] == REPRESENTED]
    same = same[same[:, 0] != same[:, 1]]
    documents[np.searchsorted(found[:, 0], same[:, 0]), 8] = same[:, 1]
    links = read_slices(files, unit.links, LINK_COLUMNS)
    of_links = found[np.searchsorted(found[:, 0], links[:, 0]), 1]
    written = [
        (name, write_partitions(files, name, rows, _partitions(roots, unit.num_partitions), unit.num_partitions))
        for name, rows, roots in (
            (f"{unit.name}-documents", documents, found[:, 1]),
            (f"{unit.name}-links", links, of_links),
        )
    ]
    return {"documents": written[:1], "links": written[1:]}


def read_related(files: UnitFiles, documents: tuple[Slice, ...], links: tuple[Slice, ...]) -> Related:
    """What was scattered to one partition."""
    rows = read_slices(files, documents, DOCUMENT_COLUMNS)
    rows = rows[np.lexsort((rows[:, 0], *(rows[:, column] for column in range(KEY_COLUMNS, 0, -1))))]
    by_index = np.argsort(rows[:, 0], kind="stable")
    indices = rows[by_index, 0]

    def positions(of: UInt64Array) -> Int64Array:
        found: Int64Array = by_index[np.minimum(np.searchsorted(indices, of), max(len(indices) - 1, 0))]
        return found

    own = np.arange(len(rows))
    is_exact, is_represented = rows[:, 6] != NOTHING, rows[:, 8] != NOTHING
    pairs = read_slices(files, links, LINK_COLUMNS)
    return Related(
        indices=rows[:, 0].astype(np.int64),
        keys=rows[:, 1:5],
        sources=rows[:, 5].astype(np.int64),
        exact=np.where(is_exact, positions(rows[:, 6]), -1) if len(rows) else own,
        exact_code=np.where(is_exact, rows[:, 7], 0).astype(np.int64),
        words=np.where(is_represented, positions(rows[:, 8]), own) if len(rows) else own,
        left=positions(pairs[:, 0]),
        right=positions(pairs[:, 1]),
        similarity=pairs[:, 2].copy().view(np.float64),
    )


def _partitions(roots: UInt64Array, num_partitions: int) -> Int64Array:
    return ((roots * _SPREAD >> np.uint64(32)) % np.uint64(num_partitions)).astype(np.int64)
