"""Texts of chosen documents as they are after the step `segments`, reading only the row groups they lie in."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pretrain.dedup.corpus import CorpusPart
from pretrain.dedup.repeats import Edits
from pretrain.dedup.segments import cut_segments
from pretrain.dedup.shuffle import Int64Array
from pretrain.stage import UnitFiles


class TextSource(NamedTuple):
    """Some parts, in order, and what is cut from their texts (None: nothing)."""

    parts: tuple[CorpusPart, ...]
    edits: Edits | None

    def read(self, files: UnitFiles, indices: Int64Array) -> Iterator[str]:
        """Streams the texts of documents by index, increasing; all of them lie in these parts."""
        for part in self.parts:
            first, last = np.searchsorted(indices, [part.start, part.stop])
            if last > first:
                yield from _read_part(files, part, self.edits, indices[first:last])


def surviving_rows(files: UnitFiles, part: CorpusPart) -> Int64Array:
    """The rows of an old part (in its signatures) whose documents its artifact kept, in the order of its texts."""
    listed = pq.read_table(part.signatures(files, "documents"), columns=["id"])["id"]
    kept = pq.read_table(part.artifact.open_part(part.part), columns=["id"])["id"]
    return np.flatnonzero(pc.is_in(listed, kept.combine_chunks()).to_numpy())


def _read_part(files: UnitFiles, part: CorpusPart, edits: Edits | None, indices: Int64Array) -> Iterator[str]:
    rows = indices - part.start
    if part.is_old:
        rows = np.searchsorted(surviving_rows(files, part), rows)
    texts = _read_rows(part, rows)
    if edits is None:
        yield from texts
        return
    digests = edits.read(files, part.start, part.stop)
    for index, text in zip(indices.tolist(), texts, strict=True):
        yield cut_segments(text, edits.config, digests[index]).text if index in digests else text


def _read_rows(part: CorpusPart, rows: Sequence[int] | Int64Array) -> Iterator[str]:
    with pq.ParquetFile(part.artifact.open_part(part.part)) as file:
        start = 0
        for index in range(file.num_row_groups):
            stop = start + file.metadata.row_group(index).num_rows
            first, last = np.searchsorted(rows, [start, stop])
            if last > first:
                texts = file.read_row_group(index, columns=["text"])["text"]
                yield from texts.take(pa.array(np.asarray(rows[first:last]) - start)).to_pylist()
            start = stop
