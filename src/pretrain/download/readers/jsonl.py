r"""JSON Lines, plain or compressed: one JSON object a line (jsonlines.org, RFC 8259).

What is out of the ordinary, and its outcome:

    blank line                                     skipped; positions count it
    byte order mark at the start, CRLF             ignored
    U+2028, U+2029, U+0085 inside a string         text, not the end of a line: only \n ends one
    a key twice in one object                      the last one counts
    not UTF-8                                      invalid_utf8
    no JSON, NaN                                   invalid_json
    JSON, but no object                            not_an_object
    brackets nested deeper than 254                too_deep, also where the rest is no JSON
    an integer of more than 4,300 digits           too_many_digits; a shorter one is kept to its last digit
    a number with a fraction beyond 1.8e308        kept, null in metadata
    longer than 64 MiB                             too_large
    last line cut by the end of a broken archive   truncated_file, bad_checksum or damaged_file
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from pretrain.download.config import Source
from pretrain.download.content import BYTE_ORDER_MARK, chunks
from pretrain.download.records import MAX_LEVELS, MAX_RECORD_BYTES, Record, Unreadable, UnusableRecordError, line_place
from pretrain.download.splitting import split
from pretrain.external import ExternalFile

_EXACT_FLOAT_LIMIT = 2.0**63
# Python's own limit, against the quadratic time of longer ones: nothing that reads metadata could take them.
_MAX_DIGITS = 4300
# A string, also one without an end, or a bracket outside strings; nothing is tried twice.
_STRING_OR_BRACKET = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[\[{\]}]', re.DOTALL)
_QUOTE = ord('"')


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


def has_deep_brackets(line: bytes) -> bool:
    """Whether brackets outside strings nest more than `MAX_LEVELS` levels."""
    if line.count(b"[") + line.count(b"{") <= MAX_LEVELS:
        return False
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(line):
        byte = line[token.start()]
        if byte != _QUOTE:
            depth += 1 if byte in b"[{" else -1
            if depth > MAX_LEVELS:
                return True
    return False


def _parse_object(line: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        value = _parse_slowly(line)
    else:
        if _has_rounded_integer(value):
            value = _parse_slowly(line)
    if not isinstance(value, dict):
        raise UnusableRecordError("not_an_object")
    return value


def _parse_slowly(line: bytes) -> Any:
    r"""Parses what orjson refuses or rounds: lone surrogates (`"\ud800"`) and integers beyond 64 bits.

    Python's parser recurses: what is deeper than any metadata may be does not come to it, so that the outcome is not
    that of the caller's stack.
    """
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise UnusableRecordError("invalid_utf8") from None
    if has_deep_brackets(line):
        raise UnusableRecordError("too_deep")
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_int=_integer)
    except UnusableRecordError:
        raise
    except ValueError:
        raise UnusableRecordError("invalid_json") from None


def _integer(digits: str) -> int:
    if len(digits.removeprefix("-")) > _MAX_DIGITS:
        raise UnusableRecordError("too_many_digits")
    return int(digits)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _has_rounded_integer(parsed: Any) -> bool:
    """Whether a float is so large that it may have been an integer, which orjson reads as a rounded float.

    Raises:
        UnusableRecordError: `too_deep`.
    """
    level = [parsed]
    num_levels = 0
    while level:
        inner: list[Any] = []
        for value in level:
            if isinstance(value, float):
                if abs(value) >= _EXACT_FLOAT_LIMIT:
                    return True
            elif isinstance(value, dict | list):
                if num_levels == MAX_LEVELS:
                    raise UnusableRecordError("too_deep")
                inner.extend(value.values() if isinstance(value, dict) else value)
        level = inner
        num_levels += 1
    return False
