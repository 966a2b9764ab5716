"""Parquet, any codec, one row group and a bounded batch of rows in memory at a time.

What is out of the ordinary, and its outcome:

    no parquet file                           unknown_format
    its end is cut off                        truncated_file
    a footer that is damaged                  damaged_file
    pages that cannot be read                 damaged_row_group, one ledger row for each row that is lost
    text that is not UTF-8                    invalid_utf8 for that row alone
    text as plain bytes, dictionary, large    read as text
    two columns of one name                   the second is `name#2`
    a time beyond Python's                    text in metadata
"""

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pretrain.download import remote
from pretrain.download.config import Source
from pretrain.download.content import open_raw
from pretrain.download.records import Record, Unreadable, row_place
from pretrain.external import ExternalFile

PARQUET_MAGIC = b"PAR1"
_BATCH_ROWS = 256
# pyarrow raises OSError for bytes it cannot decompress; a file on this machine has no other reason to.
_DAMAGE = (pa.ArrowException, OSError)


def read_parquet(file: ExternalFile, source: Source) -> Iterator[Record | Unreadable]:
    """The records of a parquet file; positions are row numbers from 0."""
    with _local_path(file) as path:
        try:
            parquet = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False)
        except (*_DAMAGE, UnicodeDecodeError):
            yield Unreadable(0, "", _reason_of_no_footer(path))
            return
        with parquet:
            names = _column_names(parquet)
            if names is None:
                yield Unreadable(0, "", "damaged_file")
                return
            start = 0
            for group in range(parquet.num_row_groups):
                num_rows = parquet.metadata.row_group(group).num_rows
                yield from _read_group(parquet, group, names, range(start, start + num_rows))
                start += num_rows


def _read_group(parquet: pq.ParquetFile, group: int, names: list[str], rows: range) -> Iterator[Record | Unreadable]:
    position = rows.start
    batches = parquet.iter_batches(_BATCH_ROWS, row_groups=[group], use_threads=False)
    while position < rows.stop:
        try:
            batch = next(batches, None)
        except _DAMAGE:
            batch = None
        if batch is None or not batch.num_rows:
            break
        for index, values in enumerate(_rows(batch)):
            row = position + index
            if values is None:
                yield Unreadable(row, row_place(row), "invalid_utf8")
            else:
                yield Record(row, row_place(row), dict(zip(names, values, strict=True)))
        position += batch.num_rows
    for row in range(position, rows.stop):
        yield Unreadable(row, row_place(row), "damaged_row_group")


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...] | None]:
    """The values of each row, or None for one that holds text that is not UTF-8."""
    try:
        yield from list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
        return
    except (ValueError, OverflowError):
        pass
    for index in range(batch.num_rows):
        try:
            yield tuple(_value(column[index]) for column in batch.columns)
        except UnicodeDecodeError:
            yield None


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        raise
    except (ValueError, OverflowError):  # a time that Python has no type for, such as the year 20000
        return scalar.cast(pa.string()).as_py()


def _column_names(parquet: pq.ParquetFile) -> list[str] | None:
    """The columns' names, made unique, or None where the footer contradicts itself."""
    metadata = parquet.metadata
    num_rows = sum(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
    seen: Counter[str] = Counter()
    unique = []
    try:
        for name in parquet.schema_arrow.names:
            seen[name] += 1
            unique.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    except UnicodeDecodeError:
        return None
    return unique if num_rows == metadata.num_rows else None


def _reason_of_no_footer(path: Path) -> str:
    with path.open("rb") as raw:
        first = raw.read(len(PARQUET_MAGIC))
        raw.seek(-len(first), os.SEEK_END)
        last = raw.read()
    if first != PARQUET_MAGIC:
        return "unknown_format"
    return "damaged_file" if last == PARQUET_MAGIC else "truncated_file"


@contextlib.contextmanager
def _local_path(file: ExternalFile) -> Iterator[Path]:
    if remote.is_remote(file):
        with remote.fetched(file) as path:
            yield path
    else:
        open_raw(file).close()  # the check against the plan
        yield Path(file.location)
