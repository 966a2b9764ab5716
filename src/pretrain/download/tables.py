"""Rows of Arrow record batches as records: what parquet and Arrow files share.

What is out of the ordinary, and its outcome:

    text that is not UTF-8                      invalid_utf8 for that row alone
    text as plain bytes, dictionary, large,     read as text
    string view
    two columns of one name                     the second is `name#2`
    a time beyond Python's, a struct with two   text in metadata
    fields of one name
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from pretrain.download.config import Source
from pretrain.download.records import Record, Unreadable, row_place

# pyarrow raises OSError for bytes it cannot decompress; a file on this machine has no other reason to.
DAMAGE = (pa.ArrowException, OSError)
BATCH_ROWS = 256
# Rows of null cost nothing to claim: what is more than a file can mean would be counted for years.
FREE_ROWS = 1_000_000
MAX_ROWS_PER_BYTE = 100
_NO_PYTHON_VALUE = (ValueError, OverflowError, LookupError, pa.ArrowException)


def max_rows(num_bytes: int) -> int:
    """How many rows a file of so many bytes can be believed to have; more are `bad_ratio`."""
    return FREE_ROWS + MAX_ROWS_PER_BYTE * num_bytes


def wanted_columns(names: Sequence[str], source: Source) -> list[int]:
    """Which of the columns, by their unique names, bear on the documents: all, or those that the source names."""
    if source.columns is None:
        return list(range(len(names)))
    keys = (source.text_key, source.id_key, source.url_key, source.lang_key, source.license_key)
    wanted = set(source.columns)
    for key in keys:
        if key is not None:
            wanted.update((key, key.partition(".")[0]))
    return [index for index, name in enumerate(names) if name in wanted]


def read_rows(batch: pa.RecordBatch, names: Sequence[str], start: int) -> Iterator[Record | Unreadable]:
    """The rows of a sound batch as records; positions count from `start`."""
    for offset in range(0, batch.num_rows, BATCH_ROWS):
        for index, values in enumerate(_values(batch.slice(offset, BATCH_ROWS))):
            row = start + offset + index
            if values is None:
                yield Unreadable(row, row_place(row), "invalid_utf8")
            else:
                yield Record(row, row_place(row), dict(zip(names, values, strict=True)))


def _values(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...] | None]:
    """The values of each row, or None for one that holds text that is not UTF-8."""
    if not batch.num_columns:
        yield from [()] * batch.num_rows
        return
    try:
        yield from list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
        return
    except _NO_PYTHON_VALUE:
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
    except _NO_PYTHON_VALUE:  # a time that Python has no type for, such as the year 20000
        pass
    try:
        return scalar.cast(pa.string()).as_py()
    except UnicodeDecodeError:
        raise
    except _NO_PYTHON_VALUE:
        return f"<{scalar.type}>"
