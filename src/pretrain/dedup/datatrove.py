r"""MinHash values equal to those of datatrove 0.10.1, bit by bit (MinhashConfig's defaults, English).

    text       lower case; a number (decimal digits of any script, with one decimal separator inside) becomes 0;
               punctuation becomes spaces; whitespace runs become one space; NFD without marks (Mn)
    words      spaCy's blank English tokenizer
    n-gram     xxh64 of the words joined by one space
    row k      min over the n-grams h of ((a_k h + b_k) mod 2^64) mod (2^61 - 1), a and b from
               numpy.random.RandomState(seed)

Definitions from its utils/text.py, utils/word_tokenizers.py and pipeline/dedup/minhash.py. It gives a text of fewer
words than an n-gram has no signature; here such a text has one n-gram, all its words.
"""

import functools
import re
import unicodedata
from typing import Any

import numpy as np
import xxhash

from pretrain.dedup.kernels import UInt64Array
from pretrain.errors import StageError

MERSENNE_PRIME = (1 << 61) - 1

_SEPARATORS = ".,،٫⎖⎗⎘"
# `\d` of a str pattern is Unicode's decimal digits (Nd), as `\p{Nd}` is.
_NUMBERS = re.compile(rf"\d+(?:[{_SEPARATORS}]\d+)?")
_WHITESPACE = re.compile(r"\s+")
_PUNCTUATION = "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»" + "".join(
    chr(code) for low, high in ((0, 9), (11, 13), (13, 32), (127, 160)) for code in range(low, high)
)
_TO_SPACES = {ord(character): " " for character in _PUNCTUATION}


def simplify(text: str) -> str:
    """The text of which words are cut."""
    plain = _NUMBERS.sub("0", text.lower()).translate(_TO_SPACES)
    decomposed = unicodedata.normalize("NFD", _WHITESPACE.sub(" ", plain.strip()))
    return "".join(c for c in decomposed if unicodedata.category(c) != "Mn").strip()


def words_of(text: str) -> list[str]:
    """The words of a text.

    Raises:
        StageError: spaCy is not installed.
    """
    simple = simplify(text)
    tokenizer = _tokenizer()
    with tokenizer.vocab.memory_zone():  # else every new word of the corpus stays in memory
        stripped = [token.text.strip() for token in tokenizer(simple)]
    return [word for word in stripped if word]


def ngram_hashes(words: list[str], ngram: int) -> UInt64Array:
    """The hash of every n-gram, in order. Shape (max(num_words - ngram + 1, 1),), or (0,) without words."""
    if not words:
        return np.empty(0, np.uint64)
    width = min(ngram, len(words))
    spans = (" ".join(words[start : start + width]) for start in range(len(words) - width + 1))
    return np.fromiter((xxhash.xxh64_intdigest(span.encode()) for span in spans), np.uint64)


def word_hashes(words: list[str]) -> UInt64Array:
    """The hash of every word, in order. Shape (num_words,)."""
    return np.fromiter((xxhash.xxh64_intdigest(word.encode()) for word in words), np.uint64)


def permutations(seed: int, count: int) -> tuple[UInt64Array, UInt64Array]:
    """Multipliers and offsets of `count` hash functions, each of shape (count,)."""
    generator = np.random.RandomState(seed)
    multipliers = generator.randint(1, MERSENNE_PRIME, dtype=np.uint64, size=count)
    return multipliers, generator.randint(0, MERSENNE_PRIME, dtype=np.uint64, size=count)


@functools.cache
def _tokenizer() -> Any:
    try:
        import spacy
    except ImportError as error:
        raise StageError(
            "dedup.minhash.signature `datatrove` splits words with spaCy, which is not installed: "
            "pip install 'pretrain[spacy]', or set signature `multiply_shift`"
        ) from error
    return spacy.blank("en").tokenizer
