"""The tests of C4 on lines that have no citation, phrase or bracket, as compiled loops.

Every kernel calls only what is in this file: the cache notices no change elsewhere.
"""

import numpy as np

from pretrain.filter.characters import (
    LINE_BREAK,
    PADDING,
    PUNCTUATION,
    SENTENCE_END,
    SPACE,
    CodeArray,
    FlagArray,
)
from pretrain.filter.compiling import OffsetArray, compiled

KEPT, BLANK, LONG_WORD, NO_END_MARK, FEW_WORDS = range(5)

_LINE_FEED, _RETURN, _DOT = map(ord, "\n\r.")


@compiled
def scan_lines(
    codes: CodeArray, flags: FlagArray, max_word_chars: int, min_words: int, needs_end_mark: bool
) -> tuple[OffsetArray, int]:
    """Lines of `str.splitlines`, stripped of outer whitespace, and what becomes of them.

    Blank lines that go are counted alone: a text of line feeds would have more of them than memory holds.

    Args:
        codes: padded code points.
        flags: those of every code point.
        max_word_chars: characters that a word, cut at whitespace, has at most; -1: any number.
        min_words: words that a line has at least.
        needs_end_mark: whether it must end with one of . ? ! " ' but not with "...".

    Returns:
        by line that is not BLANK: its first character, that after its last, and one of the outcomes above; shape
        (num_lines, 3). And the number of lines that are.
    """
    end = len(codes) - PADDING
    lines = np.empty((64, 3), np.int64)
    count, num_blank, position = 0, 0, 0
    while position < end:
        start, stop, num_words, longest, word_start = -1, position, 0, 0, -1
        while position < end and not flags[codes[position]] & LINE_BREAK:
            if flags[codes[position]] & SPACE:
                word_start = -1
            else:
                if word_start < 0:
                    word_start = position
                    num_words += 1
                    if start < 0:
                        start = position
                longest = max(longest, position + 1 - word_start)
                stop = position + 1
            position += 1
        start = max(start, 0) if num_words else stop
        last = codes[stop - 1] if num_words else 0
        is_ended = last in (0x2E, 0x3F, 0x21, 0x22, 0x27) and not (
            stop - start > 2 and last == _DOT and codes[stop - 2] == _DOT and codes[stop - 3] == _DOT
        )
        if max_word_chars >= 0 and longest > max_word_chars:
            outcome = LONG_WORD
        elif needs_end_mark and not is_ended:
            outcome = NO_END_MARK if num_words else BLANK
        elif num_words < min_words:
            outcome = FEW_WORDS if num_words else BLANK
        else:
            outcome = KEPT
        if count == len(lines):
            grown = np.empty((2 * count, 3), np.int64)
            grown[:count] = lines
            lines = grown
        lines[count, 0], lines[count, 1], lines[count, 2] = start, stop, outcome
        count += outcome != BLANK  # else the next line takes its place
        num_blank += outcome == BLANK
        is_pair = position + 1 < end and codes[position] == _RETURN and codes[position + 1] == _LINE_FEED
        position += 2 if is_pair else 1
    return lines[:count].copy(), num_blank


@compiled
def count_sentences(
    codes: CodeArray, flags: FlagArray, starts: OffsetArray, ends: OffsetArray, lines: OffsetArray
) -> OffsetArray:
    """The sentences of each line, as `pretrain.filter.sentences` cuts them. Shape (num_lines,).

    Args:
        codes: padded code points.
        flags: those of every code point.
        starts: the first character of each word; no word goes over the end of a line.
        ends: the character after its last.
        lines: as `scan_lines` gives them.
    """
    counts = np.zeros(len(lines), np.int64)
    word = 0
    for line in range(len(lines)):
        is_ended = False
        while word < len(starts) and starts[word] < lines[line, 1]:
            every = PUNCTUATION
            for position in range(starts[word], ends[word]):
                every &= flags[codes[position]]
            is_end = ends[word] - starts[word] == 1 and flags[codes[starts[word]]] & SENTENCE_END != 0
            if counts[line] == 0 or (is_ended and not is_end and not every):
                counts[line] += 1
                is_ended = False
            is_ended = is_ended or is_end
            word += 1
    return counts
