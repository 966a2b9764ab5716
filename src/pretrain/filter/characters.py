r"""What the compiled loops ask of a character: a table of bit flags, one entry a code point.

The flags come from the interpreter's own answers (`str.isspace`, `str.isalpha`, `\w` ...) and from
`pretrain.filter.symbols`, so that a loop over code points decides as the same test on a string does, whatever
version of Unicode the interpreter has.
"""

import functools
import re
import sys
import unicodedata
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pretrain.filter.splitters import MARKS
from pretrain.filter.symbols import SENTENCE_ENDS, SYMBOLS, TERMINAL_PUNCTUATION

CodeArray = NDArray[np.uint32]
FlagArray = NDArray[np.uint16]

PADDING = 3  # spaces behind every text, so that a loop can look ahead and ends by itself

SPACE = 1  # str.isspace
MARK = 2  # cut off at the edge of a word by the splitter `regex`
WORD = 4  # \w: letters, digits and the underscore
LETTER = 8  # \w, but no decimal digit and no underscore
ALPHABETIC = 16  # str.isalpha: categories Lu, Ll, Lt, Lm and Lo
SYMBOL = 32  # in SYMBOLS
TERMINAL = 64  # in TERMINAL_PUNCTUATION
LINE_BREAK = 128  # where str.splitlines cuts
LOWER = 256  # a-z
UPPER = 512  # A-Z
PUNCTUATION = 1024  # categories P*
SENTENCE_END = 2048  # in SENTENCE_ENDS

_RUNS = {
    SPACE: r"\s+",
    MARK: rf"[{MARKS}]+",
    WORD: r"\w+",
    LETTER: r"[^\W\d_]+",
    LINE_BREAK: "[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+",
    LOWER: "[a-z]+",
    UPPER: "[A-Z]+",
}


def code_points(text: str) -> CodeArray:
    """The code points of a text and `PADDING` spaces, read-only. Shape (len(text) + PADDING,)."""
    return code_array(text + " " * PADDING)


def code_array(text: str) -> CodeArray:
    """The code points of a text, read-only. Shape (len(text),)."""
    # surrogatepass: as forgiving as the methods of str, should a lone surrogate get this far
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


@functools.cache
def character_flags() -> FlagArray:
    """The flags of every code point. Shape (1114112,)."""
    every = np.arange(sys.maxunicode + 1, dtype=np.uint32).tobytes().decode("utf-32-le", "surrogatepass")
    flags = np.zeros(len(every), np.uint16)
    for flag, pattern in _RUNS.items():
        for run in re.finditer(pattern, every):
            flags[run.start() : run.end()] |= flag
    others = filter(str.isprintable, re.sub(r"\w+", "", every))
    groups: dict[int, Iterable[str]] = {
        ALPHABETIC: filter(str.isalpha, every),
        SYMBOL: SYMBOLS,
        TERMINAL: TERMINAL_PUNCTUATION,
        SENTENCE_END: SENTENCE_ENDS,
        # an underscore is the one mark of punctuation that is \w and in ASCII; its kin (U+203F ...) are not \w
        PUNCTUATION: ["_", *(char for char in others if unicodedata.category(char).startswith("P"))],
    }
    for flag, characters in groups.items():
        flags[code_array("".join(characters))] |= flag
    return flags
