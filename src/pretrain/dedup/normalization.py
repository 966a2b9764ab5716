r"""Named normalisations: what two texts may differ in and still be exact duplicates.

| name | made equal |
|---|---|
| `none` | nothing: the UTF-8 bytes of the text count |
| `whitespace` | runs of whitespace become one space, none at the ends |
| `casefold_punctuation_digits` | letter case; punctuation and symbols (Unicode P*, S*), each as a space; runs
  of decimal digits, each as one 0; whitespace as above |

A text of punctuation alone would become empty and equal to every other such text, so it is compared as
`whitespace`.
"""

import functools
import re
import sys
import unicodedata

import xxhash

from pretrain.dedup.config import Normalization

_ZEROS = re.compile("00+")


def normalize(text: str, normalization: Normalization) -> str:
    """The text that is hashed in place of `text`."""
    if normalization == "none":
        return text
    if normalization == "casefold_punctuation_digits":
        plain = " ".join(text.casefold().translate(_plain_characters()).split())
        if plain:
            return _ZEROS.sub("0", plain)
    return " ".join(text.split())


def text_digest(text: str, normalization: Normalization) -> bytes:
    """The 128-bit hash (xxh3, 16 bytes, canonical byte order) of a text after normalisation."""
    return xxhash.xxh3_128_digest(normalize(text, normalization).encode())


@functools.cache
def _plain_characters() -> dict[int, str]:
    table = {}
    for code in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(code))
        if category[0] in "PS":
            table[code] = " "
        elif category == "Nd":
            table[code] = "0"
    return table
