r"""The rules of `course` on a column of texts at once, by a compiled loop over their UTF-8 bytes.

It decides exactly as `pretrain.filter.rules.course` does on one text, but for texts that it leaves undecided: those
with more paragraphs than its table holds, or with many that only look alike. Every kernel calls only what is in this
file: the cache notices no change elsewhere.
"""

import numpy as np
from numpy.typing import NDArray

from pretrain.filter.characters import SPACE, FlagArray
from pretrain.filter.compiling import OffsetArray, compiled

ByteArray = NDArray[np.uint8]

_LINE_FEED = ord("\n")
_MAX_CHAR_BYTES = 4
_MAX_PARAGRAPHS = 2048
_MAX_ALIKE = 64  # comparisons of paragraphs that turn out to differ, a text: keeps the time linear
_SAMPLE_BYTES = 8
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_U29, _U52 = np.uint64(29), np.uint64(52)


@compiled
def keeps(
    data: ByteArray,
    offsets: OffsetArray,
    flags: FlagArray,
    min_long_lines: int,
    min_line_chars: int,
    max_paragraph_ratio: float,
    max_char_ratio: float,
) -> NDArray[np.bool_]:
    """For each text, whether it stays by all tests. False: it goes, or is not decided here.

    Args:
        data: UTF-8 of all texts.
        offsets: where each begins, and the last ends; shape (num_texts + 1,).
        flags: those of every code point.
        min_long_lines: lines that must have min_line_chars characters; 0: no test.
        min_line_chars: characters that such a line has.
        max_paragraph_ratio: share of paragraphs that may repeat.
        max_char_ratio: share of characters in those.
    """
    is_kept = np.zeros(len(offsets) - 1, np.bool_)
    table = np.full((2 * _MAX_PARAGRAPHS, 3), -1, np.int64)  # text, start and end of a paragraph
    for text in range(len(is_kept)):
        start, end = offsets[text], offsets[text + 1]
        if not _has_long_lines(data, start, end, min_long_lines, min_line_chars):
            continue
        num_paragraphs, num_repeated, num_repeated_chars = _count_repeated(data, start, end, flags, table, text)
        if num_paragraphs == 0:
            continue
        if num_repeated:
            num_chars = _count_chars(data, start, end)
            if num_repeated / num_paragraphs > max_paragraph_ratio or num_repeated_chars / num_chars > max_char_ratio:
                continue
        is_kept[text] = True
    return is_kept


@compiled
def _has_long_lines(data: ByteArray, start: int, end: int, min_long_lines: int, min_line_chars: int) -> bool:
    num_long = 0
    position = start
    while num_long < min_long_lines and position <= end:
        first = position
        while position < end and data[position] != _LINE_FEED:
            position += 1
        num_bytes = position - first
        if num_bytes >= _MAX_CHAR_BYTES * min_line_chars or (
            num_bytes >= min_line_chars and _count_chars(data, first, position) >= min_line_chars
        ):
            num_long += 1
        position += 1
    return num_long >= min_long_lines


@compiled
def _count_repeated(
    data: ByteArray, start: int, end: int, flags: FlagArray, table: OffsetArray, text: int
) -> tuple[int, int, int]:
    """Paragraphs, those that repeat an earlier one, and the characters in them; no paragraph: not decided."""
    start, end = _stripped(data, start, end, flags)
    num_paragraphs, num_repeated, num_chars, num_alike = 0, 0, 0, 0
    position = start
    while True:
        first = position
        while position < end and not (
            data[position] == _LINE_FEED and position + 1 < end and data[position + 1] == _LINE_FEED
        ):
            position += 1
        num_paragraphs += 1
        if num_paragraphs > _MAX_PARAGRAPHS:
            return 0, 0, 0
        slot = _slot(data, first, position)
        while table[slot, 0] == text:
            length = 0
            if table[slot, 2] - table[slot, 1] == position - first:
                while length < position - first and data[first + length] == data[table[slot, 1] + length]:
                    length += 1
                if length == position - first:
                    break
                num_alike += 1
                if num_alike > _MAX_ALIKE:
                    return 0, 0, 0
            slot = (slot + 1) & (len(table) - 1)
        if table[slot, 0] == text:
            num_repeated += 1
            num_chars += _count_chars(data, first, position)
        else:
            table[slot, 0], table[slot, 1], table[slot, 2] = text, first, position
        if position >= end:
            return num_paragraphs, num_repeated, num_chars
        while data[position] == _LINE_FEED:
            position += 1


@compiled
def _slot(data: ByteArray, first: int, end: int) -> np.int64:
    """A slot from the length and the outer bytes."""
    value = np.uint64(end - first)
    for offset in range(min(_SAMPLE_BYTES, end - first)):
        value = (value ^ np.uint64(data[first + offset])) * _GOLDEN
        value = (value ^ np.uint64(data[end - 1 - offset])) * _GOLDEN
        value ^= value >> _U29
    return np.int64((value * _GOLDEN) >> _U52)


@compiled
def _count_chars(data: ByteArray, first: int, end: int) -> int:
    """Characters: bytes that continue none."""
    count = 0
    for position in range(first, end):
        if data[position] & 0xC0 != 0x80:
            count += 1
    return count


@compiled
def _stripped(data: ByteArray, start: int, end: int, flags: FlagArray) -> tuple[int, int]:
    """The text without whitespace at both ends."""
    while start < end:
        code, width = _decoded(data, start)
        if not flags[code] & SPACE:
            break
        start += width
    while start < end:
        first = end - 1
        while data[first] & 0xC0 == 0x80:
            first -= 1
        if not flags[_decoded(data, first)[0]] & SPACE:
            break
        end = first
    return start, end


@compiled
def _decoded(data: ByteArray, position: int) -> tuple[np.int64, int]:
    """The code point at a place, and its bytes."""
    lead = np.int64(data[position])
    if lead < 0x80:
        return lead, 1
    width = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    code = lead & (0x7F >> width)
    for offset in range(1, width):
        code = (code << 6) | (np.int64(data[position + offset]) & 0x3F)
    return code, width
