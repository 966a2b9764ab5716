"""Spans of bytes that an earlier document has too, found by the hashes of windows and cut out of the later ones.

A window is `min_bytes` long. Where documents share a window they share its anchor, so that anchors, of which there are
few, are shuffled first; the windows of those that several documents have are shuffled next, by their anchor. Of the
documents that share a window the first in keeper order keeps it, and the others lose it. What goes from a document is
therefore the union of all spans of `min_bytes` or more that a document before it has as well, and of every window one
copy stays in the place where it came first.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from pretrain.dedup.config import KeepConfig, SubstringsConfig
from pretrain.dedup.corpus import CorpusPart
from pretrain.dedup.decision import DECISION_COLUMNS
from pretrain.dedup.exact import first_of_group
from pretrain.dedup.keeper import KEY_COLUMNS, is_removable, keeper_keys, keeper_order
from pretrain.dedup.repeats import Edits
from pretrain.dedup.shuffle import Int64Array, Slice, UInt64Array, bounds_of, read_slices, write_partitions, write_rows
from pretrain.dedup.substring_kernels import anchor_runs, window_hashes
from pretrain.dedup.texts import TextSource
from pretrain.errors import StageError
from pretrain.stage import Stats, UnitFiles

# Anchor and index; both hashes, keeper key, index and first byte; index, first byte, end, halves of the evidence's id.
_ANCHOR_COLUMNS = 2
_WINDOW_COLUMNS = 2 + KEY_COLUMNS + 2
SPAN_COLUMNS = 5

# Rows of the shuffles with the copies of sorting.
ANCHOR_ROW_BYTES = 4 * 8 * _ANCHOR_COLUMNS
WINDOW_ROW_BYTES = 4 * 8 * _WINDOW_COLUMNS

# All windows of a text of one repeated character share their anchor.
_WINDOWS_AT_ONCE = 1 << 16


class LeftPart(NamedTuple):
    """One part, and what earlier steps decided about the documents of its group and cut from their texts."""

    part: CorpusPart
    decisions: tuple[Slice, ...]
    edits: Edits | None

    def texts(self, files: UnitFiles, among: Int64Array | None = None) -> Iterator[tuple[int, bytes]]:
        """Index and UTF-8 text of the documents that are left, or of those among them."""
        gone = read_slices(files, self.decisions, DECISION_COLUMNS)[:, 0].astype(np.int64)
        everything = np.arange(self.part.start, self.part.stop) if among is None else among
        indices = np.setdiff1d(everything, gone)
        texts = TextSource((self.part,), self.edits).read(files, indices)
        for index, text in zip(indices.tolist(), texts, strict=True):
            yield index, text.encode()


class AnchorScatterUnit(NamedTuple):
    """The anchors of one part."""

    name: str
    left: LeftPart
    config: SubstringsConfig
    num_partitions: int
    budget_bytes: int


class AnchorCountUnit(NamedTuple):
    """One partition of anchors; `starts` are the first documents of all parts, and the number of documents."""

    name: str
    slices: tuple[Slice, ...]
    starts: list[int]
    budget_bytes: int


class WindowScatterUnit(NamedTuple):
    """The windows of one part whose anchors (`anchors`, rows about this part) several documents have."""

    name: str
    left: LeftPart
    anchors: tuple[Slice, ...]
    config: SubstringsConfig
    keep: KeepConfig
    num_partitions: int
    budget_bytes: int


class WindowMatchUnit(NamedTuple):
    """One partition of windows; `starts` as in `AnchorCountUnit`."""

    name: str
    slices: tuple[Slice, ...]
    min_bytes: int
    starts: list[int]
    budget_bytes: int


def scatter_anchors(files: UnitFiles, unit: AnchorScatterUnit) -> Stats:
    """Writes the anchors of a part, each once a document, partition after partition, in files that fit."""
    size, piece = unit.config.min_bytes, unit.config.anchor_bytes

    def found() -> Iterator[tuple[UInt64Array, UInt64Array]]:
        for index, text in unit.left.texts(files):
            anchors = np.unique(anchor_runs(np.frombuffer(text, np.uint8), size, piece)[2])
            yield np.stack([anchors, np.full(len(anchors), index, np.uint64)], axis=1), anchors

    return _write_files(files, unit.name, found(), unit.num_partitions, unit.budget_bytes // (2 * ANCHOR_ROW_BYTES))


def count_anchors(files: UnitFiles, unit: AnchorCountUnit) -> Stats:
    """Writes the anchors that several documents have, as (index, anchor), in order of index.

    Raises:
        StageError: the partition does not fit the memory limit.
    """
    _refuse_more_than_fits(unit.slices, ANCHOR_ROW_BYTES, unit.budget_bytes)
    rows = read_slices(files, unit.slices, _ANCHOR_COLUMNS)
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    firsts = first_of_group(rows[:, :1])
    shared = rows[np.bincount(firsts, minlength=len(rows))[firsts] > 1][:, ::-1]
    shared = shared[np.lexsort((shared[:, 1], shared[:, 0]))]
    write_rows(files, unit.name, shared)
    return {"files": [(unit.name, bounds_of(shared[:, 0], unit.starts))], "shared": len(shared)}


def scatter_windows(files: UnitFiles, unit: WindowScatterUnit) -> Stats:
    """Writes the windows of a part whose anchors are shared, partition after partition, in files that fit."""
    part, size, piece = unit.left.part, unit.config.min_bytes, unit.config.anchor_bytes
    _refuse_more_than_fits(unit.anchors, ANCHOR_ROW_BYTES, unit.budget_bytes)
    shared = read_slices(files, unit.anchors, _ANCHOR_COLUMNS)
    shared = shared[np.argsort(shared[:, 0], kind="stable")]
    indices = np.unique(shared[:, 0]).astype(np.int64)
    keys = keeper_keys(pq.read_table(part.signatures(files, "documents")), unit.keep, part.start)

    def found() -> Iterator[tuple[UInt64Array, UInt64Array]]:
        for index, text in unit.left.texts(files, indices):
            data = np.frombuffer(text, np.uint8)
            first, last = np.searchsorted(shared[:, 0], np.array([index, index + 1], np.uint64))
            runs = anchor_runs(data, size, piece)
            is_shared = np.isin(runs[2], shared[first:last, 1])
            for start, stop, anchor in zip(*(run[is_shared].tolist() for run in runs), strict=True):
                for window in range(start, stop + 1, _WINDOWS_AT_ONCE):
                    until = min(window + _WINDOWS_AT_ONCE - 1, stop)
                    rows = np.empty((until - window + 1, _WINDOW_COLUMNS), np.uint64)
                    rows[:, :2] = window_hashes(data, size, window, until)
                    rows[:, 2:-2], rows[:, -2] = keys[index - part.start], index
                    rows[:, -1] = np.arange(window, until + 1)
                    yield rows, np.full(len(rows), anchor, np.uint64)

    return _write_files(files, unit.name, found(), unit.num_partitions, unit.budget_bytes // (2 * WINDOW_ROW_BYTES))


def match_windows(files: UnitFiles, unit: WindowMatchUnit) -> Stats:
    """Writes the spans to cut that one partition knows of, in order of index and first byte.

    Raises:
        StageError: the partition does not fit the memory limit.
    """
    _refuse_more_than_fits(unit.slices, WINDOW_ROW_BYTES, unit.budget_bytes)
    rows = read_slices(files, unit.slices, _WINDOW_COLUMNS)
    rows = rows[keeper_order(rows[:, 2:-2], rows[:, 0], rows[:, 1])]
    firsts = first_of_group(rows[:, :2])
    is_cut = (rows[:, -2] != rows[firsts, -2]) & is_removable(rows[:, 2:-2])
    cut, evidence = rows[is_cut, -2:], rows[firsts[is_cut], 4:6]
    order = np.lexsort((cut[:, 1], cut[:, 0]))
    cut, evidence = cut[order], evidence[order]
    goes_on = np.zeros(len(cut), np.bool_)
    goes_on[1:] = (
        (cut[1:, 0] == cut[:-1, 0])
        & (cut[1:, 1] == cut[:-1, 1] + np.uint64(1))
        & (evidence[1:] == evidence[:-1]).all(axis=1)
    )
    firsts_of_spans = np.flatnonzero(~goes_on)
    lasts_of_spans = np.append(firsts_of_spans[1:], len(cut))[: len(firsts_of_spans)] - 1
    spans = np.empty((len(firsts_of_spans), SPAN_COLUMNS), np.uint64)
    spans[:, :2] = cut[firsts_of_spans]
    spans[:, 2] = cut[lasts_of_spans, 1] + np.uint64(unit.min_bytes)
    spans[:, 3:] = evidence[firsts_of_spans]
    write_rows(files, unit.name, spans)
    return {"files": [(unit.name, bounds_of(spans[:, 0], unit.starts))]}


def _write_files(
    files: UnitFiles, name: str, found: Iterator[tuple[UInt64Array, UInt64Array]], num_partitions: int, most: int
) -> Stats:
    """Writes rows that come with the value that chooses their partition, about `most` a file."""
    written: list[tuple[str, list[int]]] = []
    pending: list[tuple[UInt64Array, UInt64Array]] = []

    def flush() -> None:
        rows, values = (np.concatenate(each) for each in zip(*pending, strict=True))
        partitions = (values % np.uint64(num_partitions)).astype(np.int64)
        part_name = f"{name}-{len(written)}"
        written.append((part_name, write_partitions(files, part_name, rows, partitions, num_partitions)))
        pending.clear()

    num_rows = 0
    for each in found:
        pending.append(each)
        num_rows += len(each[0])
        if num_rows >= most:
            flush()
            num_rows = 0
    if pending:
        flush()
    return {"files": written}


def _refuse_more_than_fits(slices: tuple[Slice, ...], row_bytes: int, budget_bytes: int) -> None:
    num_rows = sum(each.last - each.first for each in slices)
    if num_rows * row_bytes > budget_bytes:
        raise StageError(
            f"dedup.substrings: one unit of work would take {num_rows * row_bytes:,} bytes ({num_rows:,} rows), and "
            f"dedup.memory_limit_bytes leaves {budget_bytes:,}: some span repeats in very many documents. Cut such "
            "boilerplate with `segments` first, or set a larger min_bytes or memory_limit_bytes"
        )
