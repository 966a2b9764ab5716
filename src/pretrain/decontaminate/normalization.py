r"""What two texts may differ in and still share an n-gram: the words that n-grams are made of.

A word is a maximal run of letters and digits (Unicode L* and N*, spacing marks Mc with them); all else separates
words: whitespace, line breaks, punctuation, symbols, the underscore. Each character of a word is compared by its
case folding and without accents (the base letter of its NFKD decomposition, where that is one character);
non-spacing marks (Mn, Me) and invisible format characters (Cf: soft hyphen, joiners) count as absent. In scripts
written without spaces (Han, Hiragana, Katakana, Thai, Lao, Khmer, Myanmar) each letter is a word.

That is GPT-3's "lower-cased, with punctuation removed" (Brown et al. 2020, appendix C), made indifferent to
Unicode's composed and decomposed forms.
"""

import functools
import sys
import unicodedata
from typing import Final

import numpy as np
from numpy.typing import NDArray

SEPARATOR: Final = -1
IGNORED: Final = -2
# Added to the folded character where it is a word by itself.
WORD_BY_ITSELF: Final = 1 << 24

_SCRIPTS_WITHOUT_SPACES = (
    "CJK UNIFIED",
    "CJK COMPATIBILITY IDEOGRAPH",
    "HIRAGANA",
    "KATAKANA",
    "THAI",
    "LAO",
    "KHMER",
    "MYANMAR",
)


@functools.cache
def fold_table() -> NDArray[np.int32]:
    """What each code point is compared as: a code point (plus `WORD_BY_ITSELF`), `SEPARATOR` or `IGNORED`.

    Returns:
        shape (1114112,), read only; it takes a second to make, once a process.
    """
    table = np.fromiter(map(_folded, map(chr, range(sys.maxunicode + 1))), np.int32, sys.maxunicode + 1)
    table.flags.writeable = False
    return table


def _folded(character: str) -> int:
    category = unicodedata.category(character)
    if category in ("Mn", "Me", "Cf"):
        return IGNORED
    if category[0] not in "LN" and category != "Mc":
        return SEPARATOR
    if character.isascii():
        return ord(character.lower())
    base = _base(character)
    name = unicodedata.name(base, "")
    return ord(base) + (WORD_BY_ITSELF if category != "Mc" and name.startswith(_SCRIPTS_WITHOUT_SPACES) else 0)


def _base(character: str) -> str:
    """The case-folded character without accents, where that is one character; else the character."""
    for candidate in (character.casefold(), character.lower(), character):
        letters = [c for c in unicodedata.normalize("NFKD", candidate) if unicodedata.category(c) != "Mn"]
        if len(letters) == 1:
            folded = letters[0].casefold()
            return folded if len(folded) == 1 else letters[0]
    return character
