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
from pretrain.download.content import BYTE_ORDER_MARK, chunks
from pretrain.download.records import MAX_RECORD_BYTES, Record, Unreadable, UnusableRecordError, line_place
from pretrain.download.splitting import split
from pretrain.external import ExternalFile

_EXACT_FLOAT_LIMIT = 2.0**63


def read_jsonl(file: ExternalFile, source: Source) -> Iterator[Record | Unreadable]:
    """The records of a JSON Lines file; positions are line numbers from 0."""
    for position, piece in enumerate(split(chunks(file), b"\n", MAX_RECORD_BYTES)):
        place = line_place(position)
        if piece.data is None:
            yield Unreadable(position, place, str(piece.reason))
        else:
            data = piece.data if position else piece.data.removeprefix(BYTE_ORDER_MARK)
            if data.strip():
                yield parse_record(data, position, place)


def parse_record(data: bytes, position: int, place: str) -> Record | Unreadable:
    """The JSON object in `data` as a record, or why it is none."""
    try:
        return Record(position, place, _parse_object(data))
    except UnusableRecordError as error:
        return Unreadable(position, place, str(error))


def _parse_object(line: bytes) -> dict[str, Any]:
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
