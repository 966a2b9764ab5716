import re
import sys
import unicodedata

import numpy as np
import pytest

from pretrain.filter import characters
from pretrain.filter.characters import PADDING, character_flags, code_points
from pretrain.filter.symbols import SENTENCE_ENDS, SYMBOLS, TERMINAL_PUNCTUATION


def test_code_points_are_padded_with_spaces():
    assert code_points("aé東🙂").tolist() == [0x61, 0xE9, 0x6771, 0x1F642] + [0x20] * PADDING


@pytest.mark.parametrize(
    ("flag", "decides"),
    [
        ("SPACE", str.isspace),
        ("WORD", re.compile(r"\w").match),
        ("LETTER", re.compile(r"[^\W\d_]").match),
        ("ALPHABETIC", str.isalpha),
        ("SYMBOL", set(SYMBOLS).__contains__),
        ("TERMINAL", set(TERMINAL_PUNCTUATION).__contains__),
        ("SENTENCE_END", set(SENTENCE_ENDS).__contains__),
        ("LINE_BREAK", lambda char: len(f"a{char}b".splitlines()) == 2),
        ("PUNCTUATION", lambda char: unicodedata.category(char).startswith("P")),
    ],
)
def test_flags_say_what_the_interpreter_says(flag, decides):
    # all below U+3100 (every script that has a test of its own here), and a sample of the rest
    codes = [*range(0x3100), *range(0x3100, sys.maxunicode + 1, 97)]
    expected = [bool(decides(chr(code))) for code in codes]
    assert ((character_flags()[codes] & getattr(characters, flag)) != 0).tolist() == expected


def test_flags_are_distinct():
    names = [name for name in vars(characters) if name.isupper() and not name.startswith("_") and name != "PADDING"]
    flags = [value for name in names if isinstance(value := getattr(characters, name), int)]
    assert sorted(flags) == [1 << bit for bit in range(12)]
    assert character_flags().dtype == np.uint16
