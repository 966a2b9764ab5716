"""Rows of CSV from a stream of lines, as bytes (RFC 4180; where that is silent, what Python's csv module does).

A quote opens a quoted field only as its first character; inside one, two quotes are one, and what follows the
closing quote belongs to the field as it stands. The csv module itself is not used: its limit of a field's size is
one for the whole process, it has no place for bytes that are not UTF-8, and it stops at the first error.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pretrain.download.records import MAX_RECORD_BYTES
from pretrain.download.splitting import Piece

DELIMITERS = (b",", b"\t", b";", b"|")
MAX_COLUMNS = 1 << 16
_QUOTE = b'"'
_QUOTED = re.compile(rb'"[^"]*"')


class Row(NamedTuple):
    """One row.

    Attributes:
        fields: its fields, or None for a row that cannot be had.
        line: 0-based line that it starts in.
        reason: why it cannot be had.
    """

    fields: list[bytes] | None
    line: int
    reason: str | None = None


def csv_rows(lines: Iterable[Piece], delimiter: bytes | None) -> Iterator[Row]:
    """The rows that lines (without their newline) make up; blank lines between rows are none.

    Args:
        lines: the content, cut at newlines.
        delimiter: what stands between fields; None: the most frequent of `DELIMITERS` in the first line.
    """
    row: _OpenRow | None = None
    for number, piece in enumerate(lines):
        if piece.data is None:  # how it stands with quotes is lost, and the row with it
            yield Row(None, row.line if row is not None else number, piece.reason)
            row = None
        elif row is not None or piece.data not in (b"", b"\r"):
            delimiter = delimiter or _most_frequent_delimiter(piece.data)
            row = row or _OpenRow(number, delimiter)
            if row.add_line(piece.data):
                yield row.closed()
                row = None
    if row is not None:
        yield Row(None, row.line, "unclosed_quote")


class _OpenRow:
    """A row that lines are added to until no quoted field is open."""

    def __init__(self, line: int, delimiter: bytes) -> None:
        self.line = line
        self._delimiter = delimiter
        self._fields: list[bytes] = []
        self._quoted: bytearray | None = None
        self._num_bytes = 0

    def add_line(self, data: bytes) -> bool:
        """Adds a line without its newline; whether that ends the row."""
        self._num_bytes += len(data) + 1
        body = data.removesuffix(b"\r")
        if self._quoted is None and _QUOTE not in body:
            if body.count(self._delimiter) < MAX_COLUMNS:
                self._fields = body.split(self._delimiter)
            return True
        at = 0
        while at >= 0:
            at = self._add_field(body, at)
        if self._quoted is None:
            return True
        self._quoted += data[len(body) :] + b"\n"
        if self._num_bytes > MAX_RECORD_BYTES:
            self._quoted.clear()
        return False

    def closed(self) -> Row:
        """The row, once it has ended."""
        if self._num_bytes > MAX_RECORD_BYTES + 1:
            return Row(None, self.line, "too_large")
        if not 0 < len(self._fields) <= MAX_COLUMNS:
            return Row(None, self.line, "wrong_field_count")
        return Row(self._fields, self.line)

    def _add_field(self, line: bytes, at: int) -> int:
        """Reads one field from `at`; where the next one begins, or -1 at the end of the line."""
        field = bytearray()
        if self._quoted is not None or line.startswith(_QUOTE, at):
            field = self._quoted if self._quoted is not None else field
            at = _read_quoted(line, at if self._quoted is not None else at + 1, field)
            self._quoted = field if at < 0 else None
            if at < 0:
                return -1
        end = line.find(self._delimiter, at)
        field += line[at:] if end < 0 else line[at:end]
        if len(self._fields) <= MAX_COLUMNS:
            self._fields.append(bytes(field))
        return end + 1 if end >= 0 else -1


def _read_quoted(line: bytes, at: int, field: bytearray) -> int:
    """Adds what a quoted field holds from `at`; the place behind its closing quote, or -1 if it stays open."""
    while True:
        end = line.find(_QUOTE, at)
        if end < 0:
            field += line[at:]
            return -1
        field += line[at:end]
        if not line.startswith(_QUOTE, end + 1):
            return end + 1
        field += _QUOTE
        at = end + 2


def _most_frequent_delimiter(line: bytes) -> bytes:
    plain = _QUOTED.sub(b"", line)
    return max(DELIMITERS, key=plain.count)  # the first of several
