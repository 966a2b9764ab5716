"""Segments that repeat across documents: shuffled by hash, counted in each partition, cut where there are too many."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from pretrain.dedup.config import KeepConfig, SegmentsConfig
from pretrain.dedup.corpus import CorpusPart
from pretrain.dedup.exact import first_of_group, read_relations
from pretrain.dedup.keeper import KEY_COLUMNS, is_removable, keeper_keys, keeper_order
from pretrain.dedup.segments import segment_digests
from pretrain.dedup.shuffle import Slice, UInt64Array, bounds_of, read_slices, write_partitions, write_rows
from pretrain.stage import Stats, UnitFiles

_ROW_COLUMNS = 2 + KEY_COLUMNS + 1
_EDIT_COLUMNS = 3

# A segment's row of the shuffle with the copies of sorting.
SEGMENT_BYTES = 4 * 8 * _ROW_COLUMNS


class SegmentScatterUnit(NamedTuple):
    """The segments of one part.

    relations: of exact duplicates, whose segments count with the document that stays.
    """

    name: str
    part: CorpusPart
    relations: tuple[Slice, ...]
    config: SegmentsConfig
    keep: KeepConfig
    num_partitions: int
    budget_bytes: int


class SegmentCountUnit(NamedTuple):
    """One partition of hashes; `starts` as in `ExactGroupUnit`."""

    name: str
    slices: tuple[Slice, ...]
    max_documents: int
    starts: list[int]


class Edits(NamedTuple):
    """Where the segments to cut from a group of parts stand: rows of (index, both halves of the digest)."""

    config: SegmentsConfig
    slices: tuple[Slice, ...]

    def read(self, files: UnitFiles, start: int, stop: int) -> dict[int, set[bytes]]:
        """Digests by document index, for the documents from `start` up to `stop`."""
        rows = read_slices(files, self.slices, _EDIT_COLUMNS)
        rows = rows[(rows[:, 0] >= start) & (rows[:, 0] < stop)]
        digests = rows[:, 1:].astype(">u8").tobytes()
        found: dict[int, set[bytes]] = {}
        for position, index in enumerate(rows[:, 0].tolist()):
            found.setdefault(index, set()).add(digests[16 * position : 16 * position + 16])
        return found


def scatter_segments(files: UnitFiles, unit: SegmentScatterUnit) -> Stats:
    """Writes the hashes of a part's segments, each once a document, partition after partition, in files that fit."""
    written: list[tuple[str, list[int]]] = []
    for rows in _segment_rows(files, unit, unit.budget_bytes // (2 * SEGMENT_BYTES)):
        name = f"{unit.name}-{len(written)}"
        partitions = (rows[:, 0] % np.uint64(unit.num_partitions)).astype(np.int64)
        written.append((name, write_partitions(files, name, rows, partitions, unit.num_partitions)))
    return {"files": written}


def count_segments(files: UnitFiles, unit: SegmentCountUnit) -> Stats:
    """Writes the edits of one partition, in order of index."""
    rows = read_slices(files, unit.slices, _ROW_COLUMNS)
    rows = rows[keeper_order(rows[:, 2:], rows[:, 0], rows[:, 1])]
    firsts = first_of_group(rows[:, :2])
    num_documents = np.bincount(firsts, minlength=len(rows))[firsts]
    is_cut = (num_documents > unit.max_documents) & (firsts != np.arange(len(rows))) & is_removable(rows[:, 2:])
    edits = rows[is_cut][:, [-1, 0, 1]]
    edits = edits[np.lexsort((edits[:, 2], edits[:, 1], edits[:, 0]))]
    write_rows(files, unit.name, edits)
    repeated = np.unique(firsts[num_documents > unit.max_documents])
    return {"files": [(unit.name, bounds_of(edits[:, 0], unit.starts))], "repeated_segments": len(repeated)}


def _segment_rows(files: UnitFiles, unit: SegmentScatterUnit, most: int) -> Iterator[UInt64Array]:
    """Rows of the segments of a part, about `most` at a time."""
    part = unit.part
    keys = keeper_keys(pq.read_table(part.signatures(files, "documents")), unit.keep, part.start)
    gone = read_relations(files, unit.relations, part.start, part.stop)
    stays = np.ones(part.num_documents, np.bool_)
    stays[gone[gone[:, -1] > 0, 0].astype(np.int64) - part.start] = False
    rows, digests = list[int](), bytearray()
    for row, text in enumerate(_texts(part)):
        if stays[row]:
            found = sorted(segment_digests(text, unit.config))
            rows += [row] * len(found)
            digests += b"".join(found)
        if len(rows) >= most or row == part.num_documents - 1:
            made = np.empty((len(rows), _ROW_COLUMNS), np.uint64)
            made[:, :2] = np.frombuffer(bytes(digests), ">u8").reshape(-1, 2)
            made[:, 2:-1], made[:, -1] = keys[rows], np.array(rows, np.uint64) + np.uint64(part.start)
            yield made
            rows, digests = [], bytearray()


def _texts(part: CorpusPart) -> Iterator[str]:
    with pq.ParquetFile(part.artifact.open_part(part.part)) as file:
        for index in range(file.num_row_groups):
            yield from file.read_row_group(index, columns=["text"])["text"].to_pylist()
