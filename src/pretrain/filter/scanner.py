r"""Words as the splitter `regex` finds them, by a compiled loop instead of the regular expression.

`scan_words` cuts exactly where the pattern in `pretrain.filter.splitters` does, which is the specification: a
test compares the two on random texts. The pattern never gives back what it took (its repeats are possessive, or
followed by something that cannot match inside them), so that one walk from left to right is enough.

Helpers take numbers and no arrays: numba counts references to an array at every call, which costs more than
the call. Every kernel calls only what is in its own file: the cache notices no change elsewhere.
"""

import numpy as np

from pretrain.filter.characters import LETTER, LOWER, MARK, PADDING, SPACE, UPPER, WORD, CodeArray, FlagArray
from pretrain.filter.compiling import OffsetArray, compiled

_HYPHEN, _DOT, _APOSTROPHE, _QUOTE = map(ord, "-.'’")
_R, _V, _E, _L = map(ord, "rvel")


@compiled
def scan_words(codes: CodeArray, flags: FlagArray) -> tuple[OffsetArray, OffsetArray]:
    """The first character of every word of a text, and that after its last. Each of shape (num_words,).

    Args:
        codes: padded code points, as `code_points` gives them.
        flags: as `character_flags` gives them.
    """
    end = len(codes) - PADDING
    starts = np.empty(end, np.int64)
    ends = np.empty(end, np.int64)
    count, position = 0, 0
    while position < end:
        flag = flags[codes[position]]
        if flag & SPACE:
            position += 1
            continue
        starts[count] = position
        if flag & MARK:
            # a clitic, an ellipsis or a mark alone
            second, third = codes[position + 2], codes[position + 3]
            length = _clitic_chars(codes[position], codes[position + 1], second, flags[second], flags[third])
            if not length:
                length = 1
                while codes[position] == _DOT and codes[position + length] == _DOT:
                    length += 1
            position += length
        else:
            while True:
                position += 1
                while not flags[codes[position]] & (SPACE | MARK):
                    position += 1
                after = position
                while flags[codes[after]] & MARK:
                    after += 1
                if flags[codes[after]] & SPACE:
                    break  # the end, or marks at the edge of the word: they are words of their own
                mark, following = codes[position], position + 1
                while mark == _HYPHEN and codes[following] == _HYPHEN:
                    following += 1
                first, second, third = codes[position + 1], codes[position + 2], codes[position + 3]
                if _is_cut(mark, flags[codes[position - 1]], codes[following], flags[codes[following]]) or (
                    _clitic_chars(mark, first, second, flags[second], flags[third])
                ):
                    break
                position = after
        ends[count] = position
        count += 1
    return starts[:count].copy(), ends[:count].copy()


@compiled
def _is_cut(mark: int, flag_before: int, code_after: int, flag_after: int) -> bool:
    """Whether a mark, or a run of hyphens, cuts the word that it stands in; clitics aside."""
    if mark == _DOT:
        return code_after == _DOT or (flag_before & LOWER != 0 and flag_after & UPPER != 0)
    # one of ,-/:<=>~–—
    is_cutter = mark in (0x2C, _HYPHEN, 0x2F, 0x3A, 0x7E) or 0x3C <= mark <= 0x3E or 0x2013 <= mark <= 0x2014
    return is_cutter and flag_after & LETTER != 0


@compiled
def _clitic_chars(mark: int, first: int, second: int, flag_second: int, flag_third: int) -> int:
    """The length of the clitic ('s, 're ...) that these characters begin with; 0 where it is none."""
    if mark not in (_APOSTROPHE, _QUOTE):
        return 0
    # s, S, d, m, t
    is_short = first in (0x73, 0x53, 0x64, 0x6D, 0x74)
    if is_short and not flag_second & WORD:
        return 2
    is_long = (first in (_R, _V) and second == _E) or (first == _L and second == _L)
    return 3 if is_long and not flag_third & WORD else 0
