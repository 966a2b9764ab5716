"""Spans of bytes to cut from the documents of a part, and a text without them."""

from typing import NamedTuple

import numpy as np

from pretrain.dedup.keeper import id_texts
from pretrain.dedup.shuffle import Slice, UInt64Array, read_slices
from pretrain.dedup.substrings import SPAN_COLUMNS
from pretrain.stage import UnitFiles


class Spans(NamedTuple):
    """Where the spans to cut from one part stand, and the `min_bytes` that they reach."""

    slices: tuple[Slice, ...]
    min_bytes: int

    def read(self, files: UnitFiles) -> dict[int, UInt64Array]:
        """By document index, rows of (first byte, end, halves of the id of the document that has it first)."""
        rows = read_slices(files, self.slices, SPAN_COLUMNS)
        rows = rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]
        indices, firsts = np.unique(rows[:, 0], return_index=True)
        return dict(zip(indices.tolist(), np.split(rows[:, 1:], firsts[1:]), strict=True)) if len(rows) else {}


class TextWithoutSpans(NamedTuple):
    """What is left of a text.

    num_bytes: of UTF-8, that went.
    evidence: id of the document that keeps the first of them.
    """

    text: str
    num_bytes: int
    evidence: str


def cut_spans(text: str, spans: UInt64Array) -> TextWithoutSpans:
    """Cuts spans, sorted by their first byte, as far as they are whole characters."""
    data = text.encode()
    kept, position, num_bytes = bytearray(), 0, 0
    for first, end in _joined(spans):
        start = _next_character(data, first)
        stop = max(start, _previous_character(data, end))
        kept += data[position:start]
        position = stop
        num_bytes += stop - start
    kept += data[position:]
    return TextWithoutSpans(kept.decode(), num_bytes, id_texts(spans[:1, 2:])[0])


def _next_character(data: bytes, position: int) -> int:
    while _is_inside_character(data, position):
        position += 1
    return position


def _previous_character(data: bytes, position: int) -> int:
    while _is_inside_character(data, position):
        position -= 1
    return position


def _is_inside_character(data: bytes, position: int) -> bool:
    return position < len(data) and data[position] & 0xC0 == 0x80


def _joined(spans: UInt64Array) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, end in spans[:, :2].tolist():
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((first, end))
    return joined
