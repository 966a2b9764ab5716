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
from pretrain.dedup.shuffle import Slice, bounds_of, read_slices, write_partitions, write_rows
from pretrain.stage import Stats, UnitFiles

_ROW_COLUMNS = 2 + KEY_COLUMNS + 1
_EDIT_COLUMNS = 3


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
    """Writes the hashes of a part's segments, each once a document, partition after partition."""
    part = unit.part
    keys = keeper_keys(pq.read_table(part.signatures(files, "documents")), unit.keep, part.start)
    gone = read_relations(files, unit.relations, part.start, part.stop)
    stays = np.ones(part.num_documents, np.bool_)
    stays[(gone[gone[:, -1] > 0, 0]).astype(np.int64) - part.start] = False
    counts, digests = np.zeros(part.num_documents, np.int64), bytearray()
    for row, text in enumerate(_texts(part)):
        if stays[row]:
            found = sorted(segment_digests(text, unit.config))
            counts[row] = len(found)
            digests += b"".join(found)
    rows = np.empty((int(counts.sum()), _ROW_COLUMNS), np.uint64)
    rows[:, :2] = np.frombuffer(bytes(digests), ">u8").reshape(-1, 2)
    rows[:, 2:-1] = np.repeat(keys, counts, axis=0)
    rows[:, -1] = np.repeat(np.arange(part.start, part.stop), counts)
    partitions = (rows[:, 0] % np.uint64(unit.num_partitions)).astype(np.int64)
    return {"files": [(unit.name, write_partitions(files, unit.name, rows, partitions, unit.num_partitions))]}


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


def _texts(part: CorpusPart) -> Iterator[str]:
    with pq.ParquetFile(part.artifact.open_part(part.part)) as file:
        for index in range(file.num_row_groups):
            yield from file.read_row_group(index, columns=["text"])["text"].to_pylist()
