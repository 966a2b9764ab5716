"""Parquet, any codec, a bounded batch of rows in memory at a time.

What is out of the ordinary, beside what pretrain.download.tables says, and its outcome:

    no parquet file                           unknown_format
    its end is cut off                        truncated_file
    a footer that is damaged                  damaged_file
    pages that cannot be read                 damaged_row_group, one ledger row for each row that is lost
    more rows than the file can mean          bad_ratio
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from pretrain.download.config import Source
from pretrain.download.content import CHUNK_BYTES, UnreadableContentError
from pretrain.download.fields import unique_names
from pretrain.download.random_access import local_content
from pretrain.download.records import Record, Unreadable, row_place
from pretrain.download.tables import BATCH_ROWS, DAMAGE, max_rows, read_rows, wanted_columns
from pretrain.external import ExternalFile

PARQUET_MAGIC = b"PAR1"


def read_parquet(file: ExternalFile, source: Source) -> Iterator[Record | Unreadable]:
    """The records of a parquet file; positions are row numbers from 0."""
    try:
        with local_content(file) as path:
            yield from _read(path, source)
    except UnreadableContentError as error:
        yield Unreadable(0, "", str(error))


def _read(path: Path, source: Source) -> Iterator[Record | Unreadable]:
    try:
        parquet = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False, buffer_size=CHUNK_BYTES)
    except (*DAMAGE, UnicodeDecodeError):
        yield Unreadable(0, "", _reason_of_no_footer(path))
        return
    with parquet:
        columns = _Columns.of(parquet, source)
        if columns is None or parquet.metadata.num_rows > max_rows(path.stat().st_size):
            yield Unreadable(0, "", "damaged_file" if columns is None else "bad_ratio")
            return
        start = 0
        for group in range(parquet.num_row_groups):
            num_rows = parquet.metadata.row_group(group).num_rows
            yield from _read_group(parquet, group, columns, range(start, start + num_rows))
            start += num_rows


class _Columns(NamedTuple):
    """Which columns are read.

    Attributes:
        asked: what pyarrow is asked for: names, or None for all columns.
        wanted: what is taken of that: names where they were asked for, else indices.
        names: the unique names of these.
    """

    asked: list[str] | None
    wanted: list[str] | list[int]
    names: list[str]

    @classmethod
    def of(cls, parquet: pq.ParquetFile, source: Source) -> "_Columns | None":
        """The columns to read; None where the footer contradicts itself."""
        metadata = parquet.metadata
        try:
            raw = list(parquet.schema_arrow.names)
        except UnicodeDecodeError:
            return None
        counts = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        if min(counts, default=0) < 0 or sum(counts) != metadata.num_rows:
            return None
        names = unique_names(raw)
        wanted = wanted_columns(names, source)
        chosen = [names[index] for index in wanted]
        # pyarrow takes a name for a path and for one column only: `a.b` and repeated names are beyond it.
        is_plain = names == raw and not any("." in name for name in raw)
        if is_plain and 0 < len(wanted) < len(raw):
            return cls(chosen, chosen, chosen)
        return cls(None, wanted, chosen)


def _read_group(parquet: pq.ParquetFile, group: int, columns: _Columns, rows: range) -> Iterator[Record | Unreadable]:
    position = rows.start
    batches = parquet.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns.asked, use_threads=False)
    while position < rows.stop:
        try:
            batch = next(batches, None)
        except DAMAGE:
            batch = None
        if batch is None or not batch.num_rows:
            break
        yield from read_rows(batch.select(columns.wanted), columns.names, position)
        position += batch.num_rows
    for row in range(position, rows.stop):
        yield Unreadable(row, row_place(row), "damaged_row_group")


def _reason_of_no_footer(path: Path) -> str:
    with path.open("rb") as raw:
        first = raw.read(len(PARQUET_MAGIC))
        raw.seek(-len(first), os.SEEK_END)
        last = raw.read()
    if first != PARQUET_MAGIC:
        return "unknown_format"
    return "damaged_file" if last == PARQUET_MAGIC else "truncated_file"
