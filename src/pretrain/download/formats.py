"""Which reader reads a file: the registry of formats, and `auto`."""

from collections.abc import Callable, Iterator

from pretrain.download.config import Source
from pretrain.download.content import UnreadableContentError, chunks, open_raw
from pretrain.download.readers.hub import read_hub
from pretrain.download.readers.jsonl import read_jsonl
from pretrain.download.readers.parquet import PARQUET_MAGIC, read_parquet
from pretrain.download.readers.python_code import read_python_code
from pretrain.download.readers.python_docs import read_python_docs
from pretrain.download.records import ReadResult, Unreadable
from pretrain.external import ExternalFile

# Streams the records of one file in order. What cannot be read is yielded as `Unreadable`, what is
# no document by its nature as `Skipped`; neither is raised.
Reader = Callable[[ExternalFile, Source], Iterator[ReadResult]]

READERS: dict[str, Reader] = {
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "hub": read_hub,
    "python://code": read_python_code,
    "python://docs": read_python_docs,
}

_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet"}
_COMPRESSION_SUFFIXES = (".gz", ".zst", ".zstd", ".bz2", ".xz")


def read_records(file: ExternalFile, source: Source) -> Iterator[ReadResult]:
    """The records of one file of a source.

    Raises:
        InputError: the file was changed, removed or cannot be read.
        StageError: a remote file could not be read to its end.
    """
    name = _format(file, source)
    if name is None:
        yield Unreadable(0, "", "unknown_format")
    else:
        yield from READERS[name](file, source)


def _format(file: ExternalFile, source: Source) -> str | None:
    if source.kind == "hub":
        return "hub"
    if source.kind == "python":
        return source.uri
    return detect_format(file) if source.format == "auto" else source.format


def detect_format(file: ExternalFile) -> str | None:
    """The format of a file by its magic, else its name, else its first character; None where none fits."""
    with open_raw(file) as raw:
        if raw.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC:
            return "parquet"
    name = file.name.lower()
    for suffix in _COMPRESSION_SUFFIXES:
        name = name.removesuffix(suffix)
    for suffix, by_name in _SUFFIXES.items():
        if name.endswith(suffix):
            return by_name
    try:
        first = next(chunks(file), b"")
    except UnreadableContentError:
        return None
    return "jsonl" if first.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") else None
