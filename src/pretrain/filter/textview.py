"""A document's text with what several rules need of it, each computed once and only when asked for.

The compiled loops are imported with the first text: a plan reads the rules' configs and judges nothing.
"""

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pretrain.filter.splitters import Splitter, split_words

if TYPE_CHECKING:
    from pretrain.documents import Document
    from pretrain.filter.characters import CodeArray
    from pretrain.filter.words import Words


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

    @cached_property
    def codes(self) -> "CodeArray":
        """The code points of the text, padded: what the compiled loops read."""
        from pretrain.filter.characters import code_points

        return code_points(self.text)

    def words(self, splitter: Splitter) -> "Words":
        """The words that `splitter` finds."""
        if splitter not in self._words:
            self._words[splitter] = self._split(splitter)
        return self._words[splitter]

    def _split(self, splitter: Splitter) -> "Words":
        from pretrain.filter.characters import character_flags
        from pretrain.filter.scanner import scan_words
        from pretrain.filter.words import Words

        if splitter != "regex":
            return Words.of(split_words(self.text, splitter))
        starts, ends = scan_words(self.codes, character_flags())
        return Words(self.text, self.codes, starts, ends)


def has_alphabetic(word: str) -> bool:
    """Whether a character of `word` is alphabetic."""
    return word.isalpha() or any(map(str.isalpha, word))
