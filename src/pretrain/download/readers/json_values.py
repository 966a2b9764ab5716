r"""JSON that is not line by line: one array of objects, or objects one after another, over any number of lines.

What is out of the ordinary, and its outcome, beside what JSON Lines does with one object:

    byte order mark at the start           ignored
    an element that is no object           not_an_object
    one that is no JSON                    invalid_json, if its brackets and quotes match; the next is read
    brackets or quotes that do not match   invalid_json for all that follows
    an element of more than 64 MiB         too_large
    one cut by the end of the file         truncated_file
    or by the end of a broken archive      truncated_file, bad_checksum or damaged_file
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pretrain.download.config import Source
from pretrain.download.content import BYTE_ORDER_MARK, UnreadableContentError, chunks
from pretrain.download.readers.jsonl import parse_record
from pretrain.download.records import MAX_RECORD_BYTES, Record, Unreadable, line_place
from pretrain.external import ExternalFile

_OUTSIDE = re.compile(rb'[^"\[\]{},]*')
_INSIDE_STRING = re.compile(rb'[^"\\]*')


def read_json_values(file: ExternalFile, source: Source) -> Iterator[Record | Unreadable]:
    """The objects of a JSON file; positions are their numbers from 0, places the lines they start in."""
    for position, element in enumerate(_elements(chunks(file))):
        place = line_place(element.line)
        if element.data is None:
            yield Unreadable(position, place, str(element.reason))
        else:
            yield parse_record(element.data, position, place)


class _Element(NamedTuple):
    """The bytes of one element and the 0-based line it starts in, or None and why it, or the rest, cannot be had."""

    data: bytes | None
    line: int
    reason: str | None = None


def _elements(content: Iterable[bytes]) -> Iterator[_Element]:
    scanner = _Scanner()
    try:
        for number, chunk in enumerate(content):
            yield from scanner.scan(chunk if number else chunk.removeprefix(BYTE_ORDER_MARK))
            if scanner.is_lost:
                return
        yield from scanner.end()
    except UnreadableContentError as error:
        yield _Element(None, scanner.start_line, str(error))


class _Scanner:
    """Finds where elements begin and end by quotes, brackets and commas; each byte is looked at once."""

    def __init__(self) -> None:
        self.start_line = 0
        self.is_lost = False  # more brackets were closed than opened
        self._line = 0
        self._held = bytearray()  # the element so far
        self._is_too_large = False
        self._depth = 0  # brackets open inside the element
        self._is_in_array = False
        self._is_in_string = False
        self._is_escaped = False

    def scan(self, chunk: bytes) -> Iterator[_Element]:
        """The elements that end in the next piece of content."""
        at = 0
        while at < len(chunk) and not self.is_lost:
            if self._is_escaped:  # a quote or backslash here means itself
                self._hold(chunk[at : at + 1])
                at, self._is_escaped = at + 1, False
                continue
            run = (_INSIDE_STRING if self._is_in_string else _OUTSIDE).match(chunk, at)
            end = at if run is None else run.end()
            self._hold(chunk[at:end])
            at = end + 1
            byte = chunk[end:at]
            if self._is_in_string or not byte:
                self._is_escaped = byte == b"\\"
                self._is_in_string = byte != b'"' and self._is_in_string
                self._hold(byte)
            else:
                yield from self._pass(byte)

    def end(self) -> Iterator[_Element]:
        """What is left when the content is at its end."""
        if self._depth or self._is_in_string or self._is_in_array:
            yield _Element(None, self.start_line, "truncated_file")
        else:
            yield from self._close()

    def _pass(self, byte: bytes) -> Iterator[_Element]:
        """Goes over a quote, bracket or comma outside strings."""
        if byte == b"[" and not (self._depth or self._is_in_array or self._held):
            self._is_in_array = True
        elif byte == b"," and not self._depth:
            yield from self._close()
        elif byte == b"]" and self._is_in_array and not self._depth:
            yield from self._close()
            self._is_in_array = False
        elif byte in b"]}" and not self._depth:
            self.is_lost = True
            yield _Element(None, self.start_line, "invalid_json")
        else:
            self._hold(byte)
            self._is_in_string = byte == b'"'
            self._depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(byte, 0)
            if byte in b"]}" and not (self._depth or self._is_in_array):
                yield from self._close()

    def _hold(self, data: bytes) -> None:
        if not self._held and not self._is_too_large:
            blank = len(data) - len(data.lstrip())
            self._line += data.count(b"\n", 0, blank)
            data = data[blank:]
            self.start_line = self._line
        self._line += data.count(b"\n")
        self._held += data
        if len(self._held) > MAX_RECORD_BYTES:
            self._held.clear()
            self._is_too_large = True

    def _close(self) -> Iterator[_Element]:
        data = bytes(self._held).rstrip()
        if self._is_too_large:
            yield _Element(None, self.start_line, "too_large")
        elif data:
            yield _Element(data, self.start_line)
        self._held.clear()
        self._is_too_large = False
