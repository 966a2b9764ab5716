"""A document's text with what several rules need of it, each computed once and only when asked for."""

import json
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pretrain.filter.splitters import Splitter, split_words
from pretrain.filter.symbols import SYMBOLS

if TYPE_CHECKING:
    from pretrain.documents import Document


class Words:
    """The words of a text in order, and counts over them. Punctuation marks are words here, as in the field.

    Attributes:
        tokens: every word, in order.
    """

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each word occurs. Later counts walk over this: a text has half as many distinct words."""
        return Counter(self.tokens)

    @cached_property
    def num_real_words(self) -> int:
        """Real words: those that hold a character outside `SYMBOLS`."""
        return sum(count for _, count in self._real_counts)

    @cached_property
    def num_real_word_chars(self) -> int:
        """Characters in real words."""
        return sum(len(word) * count for word, count in self._real_counts)

    @cached_property
    def num_alphabetic_words(self) -> int:
        """Words that hold an alphabetic character (Unicode category L)."""
        return sum(count for word, count in self.counts.items() if has_alphabetic(word))

    @cached_property
    def _real_counts(self) -> list[tuple[str, int]]:
        return [(word, count) for word, count in self.counts.items() if word.strip(SYMBOLS)]


class TextView:
    """One text, its lines and its words.

    Attributes:
        text: what is judged, as earlier rules rewrote it.
        document: the document that it belongs to, with its id, url and metadata; its own text is that before any
            rule. None for a text alone.
    """

    def __init__(self, text: str, document: "Document | None" = None) -> None:
        self.text = text
        self.document = document
        self._words: dict[Splitter, Words] = {}

    @cached_property
    def lines(self) -> list[str]:
        """Lines as `str.splitlines` cuts them: at line feeds, carriage returns, U+2028 and their kin."""
        return self.text.splitlines()

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The document's other fields; empty where it has none."""
        text = self.document.metadata if self.document is not None else None
        fields: dict[str, Any] = json.loads(text) if text else {}
        return fields

    def words(self, splitter: Splitter) -> Words:
        """The words that `splitter` finds."""
        if splitter not in self._words:
            self._words[splitter] = Words(split_words(self.text, splitter))
        return self._words[splitter]


def has_alphabetic(word: str) -> bool:
    """Whether a character of `word` is alphabetic."""
    return word.isalpha() or any(map(str.isalpha, word))
