"""Which reader reads a file: the registry of formats, and what `auto` goes by.

    1. the magic of parquet, Arrow, Feather, tar, zip, WARC and ARC, behind any compression
    2. a first line that is a JSON object; an array that begins with one
    3. two lines in three that are JSON objects, where the rest would be JSON over several lines
    4. the name: .jsonl .ndjson .json .csv .tsv .parquet .arrow .arrows .ipc .feather .txt .tar .tgz .zip .warc .wet
       .wat .arc .html .htm .xhtml, with or without the suffix of a compression
    5. a first line that begins a JSON object; a header row of CSV that names the text field

So a wrong suffix does not matter where content is telling, and broken content not where the name is. Plain text and
source code look like nothing in particular: they need a .txt name, or their format in the recipe.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator

from pretrain.download.config import Source
from pretrain.download.content import BYTE_ORDER_MARK, COMPRESSION_SUFFIXES, UnreadableContentError, chunks
from pretrain.download.crawl_records import ARC_MAGIC, WARC_MAGIC
from pretrain.download.csv_rows import DELIMITERS
from pretrain.download.extraction import TextExtractor
from pretrain.download.readers.arrow import ARROW_FILE_MAGIC, ARROW_STREAM_MAGIC, FEATHER_V1_MAGIC, read_arrow
from pretrain.download.readers.code import read_code
from pretrain.download.readers.delimited import read_delimited
from pretrain.download.readers.html import read_html
from pretrain.download.readers.hub import read_hub
from pretrain.download.readers.json_values import read_json_values
from pretrain.download.readers.jsonl import has_deep_brackets, parse_record, read_jsonl
from pretrain.download.readers.parquet import PARQUET_MAGIC, read_parquet
from pretrain.download.readers.python_code import read_python_code
from pretrain.download.readers.python_docs import read_python_docs
from pretrain.download.readers.text import read_text
from pretrain.download.readers.warc import read_warc
from pretrain.download.records import ReadResult, Record, Unreadable
from pretrain.download.tar_members import is_tar
from pretrain.download.zip_members import ZIP_MAGICS
from pretrain.external import ExternalFile

# Streams the records of one file in order. What cannot be read is yielded as `Unreadable`, what is
# no document by its nature as `Skipped`; neither is raised.
Reader = Callable[[ExternalFile, Source], Iterator[ReadResult]]
# The same, for files of web pages.
PageReader = Callable[[ExternalFile, Source, TextExtractor], Iterator[ReadResult]]

READERS: dict[str, Reader] = {
    "jsonl": read_jsonl,
    "json": read_json_values,
    "csv": read_delimited,
    "parquet": read_parquet,
    "arrow": read_arrow,
    "text": read_text,
    "code": read_code,
    "hub": read_hub,
    "python://code": read_python_code,
    "python://docs": read_python_docs,
}
PAGE_READERS: dict[str, PageReader] = {"warc": read_warc, "html": read_html}

_MAGICS = {
    WARC_MAGIC: "warc",
    ARC_MAGIC: "warc",
    PARQUET_MAGIC: "parquet",
    ARROW_FILE_MAGIC: "arrow",
    FEATHER_V1_MAGIC: "arrow",
    **dict.fromkeys(ZIP_MAGICS, "code"),
}
_SUFFIXES = {
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    ".json": "json",
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    ".parquet": "parquet",
    **dict.fromkeys((".arrow", ".arrows", ".ipc", ".feather"), "arrow"),
    ".txt": "text",
    **dict.fromkeys((".tar", ".tgz", ".zip"), "code"),
    **dict.fromkeys((".warc", ".wet", ".wat", ".arc"), "warc"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
}
_ARRAY_OF_OBJECTS = re.compile(rb"\s*\[\s*\{\s*[\"}]")
_OBJECT = re.compile(rb"\s*\{\s*[\"}]")
_OBJECT_OVER_LINES = re.compile(rb"\s*\{[ \t\r]*\n")
_MAX_MESSAGE_BYTES = 1 << 24  # the schema of an Arrow stream


def read_records(file: ExternalFile, source: Source, extractor: TextExtractor | None = None) -> Iterator[ReadResult]:
    """The records of one file of a source.

    Args:
        file: the file.
        source: its source.
        extractor: of the source, to be shared by its files; None for one that ends with this file.

    Raises:
        InputError: the file was changed, removed or cannot be read.
        StageError: a remote file could not be read to its end, or the extractor not be started.
    """
    name = _format(file, source)
    if name is None:
        yield Unreadable(0, "", "unknown_format")
    elif name in PAGE_READERS:
        with TextExtractor(source.html) if extractor is None else contextlib.nullcontext(extractor) as of_pages:
            yield from PAGE_READERS[name](file, source, of_pages)
    else:
        yield from READERS[name](file, source)


def _format(file: ExternalFile, source: Source) -> str | None:
    if source.kind == "hub" and file.location == source.uri:  # not a data file of a local folder
        return "hub"
    if source.kind == "python":
        return source.uri
    return detect_format(file, source) if source.format == "auto" else source.format


def detect_format(file: ExternalFile, source: Source) -> str | None:
    """The format of a file, or None where neither its content nor its name tells."""
    try:
        first = next(chunks(file), b"")
    except UnreadableContentError:
        first = b""  # its name may still say which reader names the damage
    text = first.removeprefix(BYTE_ORDER_MARK)
    found = _by_magic(first) or _by_json(text) or _by_name(file.name) or _by_first_line(text, source)
    # To the reader of `json`, brackets that a broken line leaves open end the file; to that of lines, the line.
    return "jsonl" if found == "json" and _is_object_a_line(text) else found


def _by_magic(first: bytes) -> str | None:
    for magic, name in _MAGICS.items():
        if first.startswith(magic):
            return name
    if first.startswith(ARROW_STREAM_MAGIC) and 0 < int.from_bytes(first[4:8], "little") < _MAX_MESSAGE_BYTES:
        return "arrow"
    return "code" if is_tar(first) else None


def _by_json(text: bytes) -> str | None:
    if _ARRAY_OF_OBJECTS.match(text):
        return "json"
    line, _, _ = text.lstrip().partition(b"\n")
    if not line.startswith(b"{"):
        return None
    if has_deep_brackets(line):  # which Python's parser takes or not by the depth of the stack
        return "jsonl"
    try:
        json.loads(line, parse_int=str)  # Python refuses to make a number of 4301 digits
    except ValueError:
        return None
    return "jsonl"


def _is_object_a_line(text: bytes) -> bool:
    """Whether two in three of the lines are JSON objects, as in JSON Lines of which the first is broken."""
    lines = [line for line in text.split(b"\n") if line.strip()]
    num_objects = sum(1 for line in lines if line.startswith(b"{") and isinstance(parse_record(line, 0, ""), Record))
    return 3 * num_objects >= 2 * len(lines) > 2


def _by_name(name: str) -> str | None:
    name = name.lower()
    for suffix in COMPRESSION_SUFFIXES:
        name = name.removesuffix(suffix)
    return next((by_name for suffix, by_name in _SUFFIXES.items() if name.endswith(suffix)), None)


def _by_first_line(text: bytes, source: Source) -> str | None:
    if _OBJECT.match(text):
        return "json" if _OBJECT_OVER_LINES.match(text) else "jsonl"
    header = text.partition(b"\n")[0].strip()
    names = ([name.strip(b' "') for name in header.split(delimiter)] for delimiter in DELIMITERS)
    return "csv" if any(len(row) > 1 and source.text_key.encode() in row for row in names) else None
