"""Lines and paragraphs of a text: which repeat, and how they begin and end, as compiled loops over its characters.

Two segments count as equal when all their characters are: hashes only find candidates. Every kernel calls only
what is in this file: the cache notices no change elsewhere.
"""

import numpy as np

from pretrain.filter.characters import LINE_BREAK, PADDING, SPACE, TERMINAL, CodeArray, FlagArray
from pretrain.filter.compiling import OffsetArray, compiled

NUM_SEGMENTS, NUM_REPEATED, REPEATED_CHARS, FIRST_START, FIRST_END, LONGEST_START, LONGEST_END = range(7)
NUM_LINES, NUM_BULLETS, NUM_ELLIPSES, BULLET_START, BULLET_END, ELLIPSIS_START, ELLIPSIS_END = range(7)
NUM_FULL_LINES, NUM_ENDED, NUM_SHORT, NUM_NEWLINES = range(4)

_LINE_FEED, _RETURN, _HYPHEN, _BULLET, _DOT, _ELLIPSIS = map(ord, "\n\r-•.…")
_ZERO, _ONE, _U32, _U64 = (np.uint64(value) for value in (0, 1, 32, 64))
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@compiled
def repeated_segments(
    codes: CodeArray, flags: FlagArray, min_newlines: int, is_stripped: bool, skip_blank: bool
) -> OffsetArray:
    r"""Counts the segments of a text that repeat an earlier one.

    Args:
        codes: padded code points.
        flags: those of every code point.
        min_newlines: a run of at least so many line feeds is a cut: 1 for `\n+`, 2 for `\n{2,}`.
        is_stripped: leave out whitespace at both ends of the text first.
        skip_blank: leave out segments of nothing but whitespace. Otherwise empty ones count, before a first and
            behind a last cut, as they do for `re.split`.

    Returns:
        by the names above: segments, those repeated and the characters in them; the first that is repeated and
        the longest (of several, the first), from where to where, -1 for none.
    """
    found = np.full(7, -1, np.int64)
    found[:3] = 0
    position, end = 0, len(codes) - PADDING
    while is_stripped and end > 0 and flags[codes[end - 1]] & SPACE:
        end -= 1
    while is_stripped and position < end and flags[codes[position]] & SPACE:
        position += 1
    capacity, shift = 16, _U64 - np.uint64(4)
    seen = np.empty((capacity, 3), np.int64)  # hash, start, length; -1 for an empty slot
    seen[:, 2] = -1
    while True:
        start, value, is_blank = position, _ZERO, True
        stop, newlines = start, 0
        while stop < end:
            code = codes[stop]
            if code == _LINE_FEED:
                newlines = 1
                while stop + newlines < end and codes[stop + newlines] == _LINE_FEED:
                    newlines += 1
                if newlines >= min_newlines:
                    break
                newlines = 0
            elif is_blank and not flags[code] & SPACE:
                is_blank = False
            value = (value + np.uint64(code) + _ONE) * _GOLDEN
            value ^= value >> _U32
            stop += 1
        if not (skip_blank and is_blank):
            if 2 * (found[NUM_SEGMENTS] - found[NUM_REPEATED]) >= capacity:
                seen, capacity, shift = _grown(seen, capacity, shift)
            _count_segment(codes, seen, shift, value, start, stop - start, found)
        if newlines == 0:
            return found
        position = stop + newlines


@compiled
def _count_segment(
    codes: CodeArray, seen: OffsetArray, shift: np.uint64, value: np.uint64, start: int, length: int, found: OffsetArray
) -> None:
    """Looks a segment up among those `seen`, and counts it in `found`."""
    found[NUM_SEGMENTS] += 1
    key = np.int64(value)
    slot = np.int64((value * _GOLDEN) >> shift)
    while seen[slot, 2] >= 0:
        if seen[slot, 0] == key and seen[slot, 2] == length:
            other, index = seen[slot, 1], 0
            while index < length and codes[start + index] == codes[other + index]:
                index += 1
            if index == length:
                break
        slot = (slot + 1) & (len(seen) - 1)
    if seen[slot, 2] < 0:
        seen[slot, 0], seen[slot, 1], seen[slot, 2] = key, start, length
        return
    found[NUM_REPEATED] += 1
    found[REPEATED_CHARS] += length
    if found[FIRST_START] < 0:
        found[FIRST_START], found[FIRST_END] = start, start + length
    if found[LONGEST_START] < 0 or length > found[LONGEST_END] - found[LONGEST_START]:
        found[LONGEST_START], found[LONGEST_END] = start, start + length


@compiled
def _grown(seen: OffsetArray, capacity: int, shift: np.uint64) -> tuple[OffsetArray, int, np.uint64]:
    """The same table with room for twice as many."""
    larger = np.empty((2 * capacity, 3), np.int64)
    larger[:, 2] = -1
    for index in range(capacity):
        if seen[index, 2] < 0:
            continue
        slot = np.int64((np.uint64(seen[index, 0]) * _GOLDEN) >> (shift - _ONE))
        while larger[slot, 2] >= 0:
            slot = (slot + 1) & (2 * capacity - 1)
        larger[slot] = seen[index]
    return larger, 2 * capacity, shift - _ONE


@compiled
def bullets_and_ellipses(codes: CodeArray, flags: FlagArray) -> OffsetArray:
    """Counts lines of `str.splitlines` that start with a bullet or end with an ellipsis, outer whitespace aside.

    Returns:
        by the names above: lines, those with a bullet, those with an ellipsis; the first of each, from where to
        where, -1 for none.
    """
    found = np.full(7, -1, np.int64)
    found[:3] = 0
    start, end = 0, len(codes) - PADDING
    while start < end:
        stop, first, last = start, -1, -1
        while stop < end and not flags[codes[stop]] & LINE_BREAK:
            if not flags[codes[stop]] & SPACE:
                last = stop
                if first < 0:
                    first = stop
            stop += 1
        found[NUM_LINES] += 1
        if first >= 0:
            if codes[first] == _HYPHEN or codes[first] == _BULLET:
                found[NUM_BULLETS] += 1
                if found[BULLET_START] < 0:
                    found[BULLET_START], found[BULLET_END] = start, stop
            if codes[last] == _ELLIPSIS or (
                codes[last] == _DOT and last - first >= 2 and codes[last - 1] == _DOT and codes[last - 2] == _DOT
            ):
                found[NUM_ELLIPSES] += 1
                if found[ELLIPSIS_START] < 0:
                    found[ELLIPSIS_START], found[ELLIPSIS_END] = start, stop
        is_pair = stop + 1 < end and codes[stop] == _RETURN and codes[stop + 1] == _LINE_FEED
        start = stop + 2 if is_pair else stop + 1
    return found


@compiled
def line_ends(codes: CodeArray, flags: FlagArray, short_chars: int, stop_codes: CodeArray) -> OffsetArray:
    """Counts lines that are not blank, cut at line feeds alone.

    Args:
        codes: padded code points.
        flags: those of every code point.
        short_chars: a line of at most so many characters is short.
        stop_codes: the characters that end a sentence; none: those of `TERMINAL_PUNCTUATION`.

    Returns:
        by the names above: lines, those that end with such a character, the short ones, and all line feeds.
    """
    found = np.zeros(4, np.int64)
    start, end = 0, len(codes) - PADDING
    while start <= end:
        stop, is_blank = start, True
        while stop < end and codes[stop] != _LINE_FEED:
            if is_blank and not flags[codes[stop]] & SPACE:
                is_blank = False
            stop += 1
        if stop < end:
            found[NUM_NEWLINES] += 1
        if not is_blank:
            found[NUM_FULL_LINES] += 1
            if stop - start <= short_chars:
                found[NUM_SHORT] += 1
            is_ended = len(stop_codes) == 0 and flags[codes[stop - 1]] & TERMINAL != 0
            for code in stop_codes:
                is_ended = is_ended or code == codes[stop - 1]
            if is_ended:
                found[NUM_ENDED] += 1
        start = stop + 1
    return found
