"""Rows of an evaluation file, whatever its format: JSON Lines, JSON, CSV, TSV or Parquet, compressed or not."""

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import fsspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain.errors import InputError
from pretrain.external import ExternalFile, require_unchanged

_COMPRESSION_SUFFIXES = (".gz", ".zst", ".bz2", ".xz")
# Whatever a library makes of a file that is not what its name says.
_READING_ERRORS = (OSError, EOFError, ValueError, csv.Error, pa.ArrowException)


def read_all_rows(files: Sequence[ExternalFile]) -> Iterator[dict[str, Any]]:
    """The rows of several files, in order of their names.

    Raises:
        InputError: as `read_rows`.
    """
    for file in sorted(files, key=lambda file: file.name):
        yield from read_rows(file)


def read_rows(file: ExternalFile) -> Iterator[dict[str, Any]]:
    """The rows in order, each as a mapping.

    A .json file holds a list of objects, or one object with such a list as its only list.

    Raises:
        InputError: the file was changed since the plan, is of no known format, or is not what its name says.
    """
    path = require_unchanged(file)
    suffix = _format(path)
    if suffix not in _READERS:
        raise InputError(
            f"{path} is of no format that items are read from: its name ends with none of {', '.join(_READERS)}, "
            f"alone or with {', '.join(_COMPRESSION_SUFFIXES)}"
        )
    try:
        with fsspec.open(str(path), "rb", compression="infer") as data:
            for row in _READERS[suffix](data):
                if not isinstance(row, dict):
                    raise InputError(f"{path} holds a {type(row).__name__} where an item has to be an object")
                yield row
    except _READING_ERRORS as error:
        raise InputError(f"cannot read the items of {path}: {error}; correct or replace the file") from error


def _format(path: Path) -> str:
    name = path.name.lower()
    for suffix in _COMPRESSION_SUFFIXES:
        name = name.removesuffix(suffix)
    return Path(name).suffix


def _read_jsonl(data: IO[bytes]) -> Iterator[Any]:
    for number, line in enumerate(data):
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line
        if text.strip():
            yield orjson.loads(text)


def _read_json(data: IO[bytes]) -> Iterator[Any]:
    value = orjson.loads(data.read().removeprefix(b"\xef\xbb\xbf"))
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list)]
        if len(lists) != 1:
            raise ValueError(f"the object has {len(lists)} lists, so which holds the items is not clear")
        value = lists[0]
    if not isinstance(value, list):
        raise ValueError(f"it holds a {type(value).__name__}, not a list of items")
    yield from value


def _read_csv(data: IO[bytes]) -> Iterator[dict[str, Any]]:
    yield from _separated(data, ",")


def _read_tsv(data: IO[bytes]) -> Iterator[dict[str, Any]]:
    yield from _separated(data, "\t")


def _separated(data: IO[bytes], delimiter: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(sys.maxsize)  # the default of 128 KiB refuses a long passage
    yield from csv.DictReader(io.TextIOWrapper(data, "utf-8-sig", newline=""), delimiter=delimiter)


def _read_parquet(data: IO[bytes]) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(data) as file:
        for batch in file.iter_batches():
            yield from batch.to_pylist()


_READERS = {
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".parquet": _read_parquet,
}
