r"""JSON Lines, plain or compressed: one JSON object a line (jsonlines.org, RFC 8259).

What is out of the ordinary, and its outcome:

    blank line                                     skipped; positions count it
    byte order mark at the start, CRLF             ignored
    U+2028, U+2029, U+0085 inside a string         text, not the end of a line: only \n ends one
    a key twice in one object                      the last one counts
    not UTF-8                                      invalid_utf8
    no JSON, NaN, nested deeper than 1024          invalid_json
    JSON, but no object                            not_an_object
    longer than 64 MiB                             too_large
    last line cut by the end of a broken archive   truncated_file, bad_checksum or damaged_file
"""

import json
from collections.abc import Iterator
from typing import Any

import orjson

from pretrain.download.config import Source
from pretrain.download.content import UnreadableContentError, chunks
from pretrain.download.records import Record, Unreadable, UnusableRecordError, line_place
from pretrain.external import ExternalFile

MAX_LINE_BYTES = 64 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_EXACT_FLOAT_LIMIT = 2.0**63


def read_jsonl(file: ExternalFile, source: Source) -> Iterator[Record | Unreadable]:
    """The records of a JSON Lines file; positions are line numbers from 0."""
    position = 0
    try:
        for line in _lines(chunks(file)):
            data = line.removeprefix(_BYTE_ORDER_MARK) if position == 0 else line
            record = _parse(data, position) if data.strip() else None
            if record is not None:
                yield record
            position += 1
    except UnreadableContentError as error:
        yield Unreadable(position, line_place(position), str(error))


def _parse(line: bytes, position: int) -> Record | Unreadable:
    place = line_place(position)
    try:
        fields = _parse_object(line)
    except UnusableRecordError as error:
        return Unreadable(position, place, str(error))
    return Record(position, place, fields)


def _parse_object(line: bytes) -> dict[str, Any]:
    if len(line) > MAX_LINE_BYTES:
        raise UnusableRecordError("too_large")
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        value = _parse_slowly(line)
    if not isinstance(value, dict):
        raise UnusableRecordError("not_an_object")
    return _parse_slowly(line) if _has_rounded_integer(value) else value


def _parse_slowly(line: bytes) -> Any:
    r"""Parses what orjson refuses or rounds: lone surrogates (`"\ud800"`) and integers beyond 64 bits."""
    try:
        return json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise UnusableRecordError("invalid_utf8") from None
    except (ValueError, RecursionError):
        raise UnusableRecordError("invalid_json") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _has_rounded_integer(fields: dict[str, Any]) -> bool:
    """Whether a float is so large that it may have been an integer, which orjson reads as a rounded float."""
    pending: list[Any] = list(fields.values())
    while pending:
        value = pending.pop()
        if isinstance(value, float):
            if abs(value) >= _EXACT_FLOAT_LIMIT:
                return True
        elif isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return False


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    r"""Lines without their `\n`; of a line longer than the limit one byte more than the limit is kept.

    What follows the last `\n` is a line only when the content ends well: a broken archive cuts it.
    """
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        head, *rest = piece.split(b"\n")
        if size <= MAX_LINE_BYTES:
            held.append(head)
            size += len(head)
        if rest:
            yield b"".join(held)[: MAX_LINE_BYTES + 1]
            yield from rest[:-1]
            held, size = [rest[-1]], len(rest[-1])
    yield b"".join(held)[: MAX_LINE_BYTES + 1]
