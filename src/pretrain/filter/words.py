"""The words of a text as offsets, and what the rules count over them, each computed once and when asked for."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pretrain.filter.characters import CodeArray, character_flags, code_points
from pretrain.filter.compiling import OffsetArray
from pretrain.filter.ngrams import (
    HashArray,
    duplicate_ngrams,
    find_words,
    hash_word,
    measure_words,
    top_ngrams,
)


class RepeatedNgram(NamedTuple):
    """What n-grams of one size repeat: the characters in them, and the first word of the first (-1: there is none)."""

    chars: int
    first: int


class _Measured(NamedTuple):
    """What `measure_words` returns."""

    hashes: HashArray
    powers: HashArray
    num_real_words: int
    num_real_word_chars: int
    is_alphabetic: NDArray[np.bool_]


class Words:
    """The words of a text in order, and counts over them. Punctuation marks are words here, as in the field.

    Attributes:
        starts: the first character of each word, shape (num_words,).
        ends: the character after its last, shape (num_words,).

    Args:
        text: holds the words.
        codes: its code points, as `code_points` gives them.
        starts: as above.
        ends: as above.
    """

    def __init__(self, text: str, codes: CodeArray, starts: OffsetArray, ends: OffsetArray) -> None:
        self.starts, self.ends = starts, ends
        self._text, self._codes = text, codes

    @classmethod
    def of(cls, tokens: Sequence[str]) -> "Words":
        """These words."""
        text = "".join(tokens)
        lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
        ends = np.cumsum(lengths)
        return cls(text, code_points(text), ends - lengths, ends)

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def tokens(self) -> list[str]:
        """Every word, in order."""
        text = self._text
        return [text[start:end] for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True)]

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each word occurs."""
        return Counter(self.tokens)

    @property
    def num_real_words(self) -> int:
        """Real words: those that hold a character outside `SYMBOLS`."""
        return self._measured.num_real_words

    @property
    def num_real_word_chars(self) -> int:
        """Characters in real words."""
        return self._measured.num_real_word_chars

    @cached_property
    def num_alphabetic_words(self) -> int:
        """Words that hold an alphabetic character (Unicode category L)."""
        return int(np.count_nonzero(self._measured.is_alphabetic))

    def with_hashes(self, wanted: HashArray) -> list[bool]:
        """For each hash of `hashes_of`, whether a word has it."""
        found: list[bool] = find_words(self._measured.hashes, wanted).tolist()
        return found

    def top_ngrams(self, sizes: OffsetArray) -> list[RepeatedNgram]:
        """For each n, the n-gram that occurs most often (at least once), words joined by a space; ties: the first."""
        measured = self._measured
        chars, firsts = top_ngrams(measured.hashes, self._lengths, measured.powers, sizes)
        return list(map(RepeatedNgram, chars.tolist(), firsts.tolist()))

    def duplicate_ngrams(self, sizes: OffsetArray) -> list[RepeatedNgram]:
        """For each n, the n-grams that repeat an earlier one, words joined by nothing, none overlapping another."""
        measured = self._measured
        chars, firsts = duplicate_ngrams(measured.hashes, self._lengths, measured.powers, sizes)
        return list(map(RepeatedNgram, chars.tolist(), firsts.tolist()))

    def ngram(self, first: int, size: int) -> str:
        """The n-gram of `size` words from the word `first` on, joined by spaces."""
        starts, ends = self.starts[first : first + size].tolist(), self.ends[first : first + size].tolist()
        return " ".join(self._text[start:end] for start, end in zip(starts, ends, strict=True))

    def without_letter(self) -> list[str]:
        """Every word without an alphabetic character, in order."""
        indexes = np.flatnonzero(~self._measured.is_alphabetic)
        starts, ends = self.starts[indexes].tolist(), self.ends[indexes].tolist()
        return [self._text[start:end] for start, end in zip(starts, ends, strict=True)]

    @cached_property
    def _lengths(self) -> OffsetArray:
        return self.ends - self.starts

    @cached_property
    def _measured(self) -> _Measured:
        return _Measured(*measure_words(self._codes, self.starts, self.ends, character_flags()))


def hashes_of(words: Sequence[str]) -> HashArray:
    """The hash of each word, for `Words.with_hashes`. Shape (len(words),)."""
    return np.array([hash_word(word) for word in words], np.uint64)


def sizes_of(ngrams: Sequence[int]) -> OffsetArray:
    """Values of n, increasing, for `Words.top_ngrams` and `Words.duplicate_ngrams`. Shape (len(ngrams),)."""
    return np.array(ngrams, np.int64)
