"""The words of a text as offsets, and what the rules count over them, each computed once and when asked for."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from pretrain.filter.characters import CodeArray, character_flags, code_points
from pretrain.filter.compiling import OffsetArray
from pretrain.filter.ngrams import HashArray, duplicate_ngrams, find_words, hash_word, measure_words, top_ngrams


class RepeatedNgram(NamedTuple):
    """What n-grams of one size repeat: the characters in them, and the first of them (None: there is none)."""

    chars: int
    ngram: str | None


class _Measured(NamedTuple):
    """What `measure_words` returns."""

    hashes: HashArray
    powers: HashArray
    num_real_words: int
    num_real_word_chars: int
    num_alphabetic_words: int


class Words:
    """The words of a text in order, and counts over them. Punctuation marks are words here, as in the field.

    Args:
        text: holds the words.
        codes: its code points, as `code_points` gives them.
        starts: the first character of each word, shape (num_words,).
        ends: the character after its last, shape (num_words,).
    """

    def __init__(self, text: str, codes: CodeArray, starts: OffsetArray, ends: OffsetArray) -> None:
        self._text, self._codes, self._starts, self._ends = text, codes, starts, ends

    @classmethod
    def of(cls, tokens: Sequence[str]) -> "Words":
        """These words."""
        text = "".join(tokens)
        lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
        ends = np.cumsum(lengths)
        return cls(text, code_points(text), ends - lengths, ends)

    def __len__(self) -> int:
        return len(self._starts)

    @cached_property
    def tokens(self) -> list[str]:
        """Every word, in order."""
        text = self._text
        return [text[start:end] for start, end in zip(self._starts.tolist(), self._ends.tolist(), strict=True)]

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

    @property
    def num_alphabetic_words(self) -> int:
        """Words that hold an alphabetic character (Unicode category L)."""
        return self._measured.num_alphabetic_words

    def with_hashes(self, wanted: HashArray) -> list[bool]:
        """For each hash of `hashes_of`, whether a word has it."""
        found: list[bool] = find_words(self._measured.hashes, wanted).tolist()
        return found

    def top_ngrams(self, sizes: OffsetArray) -> list[RepeatedNgram]:
        """For each n, the n-gram that occurs most often (at least once), words joined by a space; ties: the first."""
        lengths, measured = self._ends - self._starts, self._measured
        chars, firsts = top_ngrams(measured.hashes, lengths, measured.powers, sizes)
        return self._ngrams(sizes, chars, firsts)

    def duplicate_ngrams(self, sizes: OffsetArray) -> list[RepeatedNgram]:
        """For each n, the n-grams that repeat an earlier one, words joined by nothing, none overlapping another."""
        lengths, measured = self._ends - self._starts, self._measured
        chars, firsts = duplicate_ngrams(measured.hashes, lengths, measured.powers, sizes)
        return self._ngrams(sizes, chars, firsts)

    def _ngrams(self, sizes: OffsetArray, chars: OffsetArray, firsts: OffsetArray) -> list[RepeatedNgram]:
        return [
            RepeatedNgram(num_chars, self._ngram(first, size) if first >= 0 else None)
            for size, num_chars, first in zip(sizes.tolist(), chars.tolist(), firsts.tolist(), strict=True)
        ]

    def _ngram(self, first: int, size: int) -> str:
        starts, ends = self._starts[first : first + size].tolist(), self._ends[first : first + size].tolist()
        return " ".join(self._text[start:end] for start, end in zip(starts, ends, strict=True))

    @cached_property
    def _measured(self) -> _Measured:
        return _Measured(*measure_words(self._codes, self._starts, self._ends, character_flags()))


def hashes_of(words: Sequence[str]) -> HashArray:
    """The hash of each word, for `Words.with_hashes`. Shape (len(words),)."""
    return np.array([hash_word(word) for word in words], np.uint64)


def sizes_of(ngrams: Sequence[int]) -> OffsetArray:
    """Values of n, increasing, for `Words.top_ngrams` and `Words.duplicate_ngrams`. Shape (len(ngrams),)."""
    return np.array(ngrams, np.int64)
