"""How a text is cut into sentences: the rule of spaCy's Sentencizer, over the words of a splitter.

A sentence ends with a word that is one of `pretrain.filter.symbols.SENTENCE_ENDS`; words of punctuation alone that
follow it belong to it, and the next word begins another. Abbreviations are what the splitter makes of them: to spaCy
"e.g." is one word, to `regex` "e.g" and a full stop.
"""

import itertools
import unicodedata
from typing import Literal

from pretrain.filter.splitters import spacy_pipeline, word_spans
from pretrain.filter.symbols import SENTENCE_ENDS

_SENTENCE_ENDS = frozenset(SENTENCE_ENDS)


def split_sentences(text: str, splitter: Literal["regex", "spacy"]) -> list[str]:
    """The sentences of `text` in order, stripped of outer whitespace; none is empty."""
    if splitter == "spacy":
        pipeline = spacy_pipeline()
        with pipeline.memory_zone():
            return [sentence for span in pipeline(text).sents if (sentence := span.text.strip())]
    starts: list[int] = []
    is_ended = False
    for start, end in word_spans(text):
        word = text[start:end]
        is_end = word in _SENTENCE_ENDS
        if not starts or (is_ended and not is_end and not _is_punctuation(word)):
            starts.append(start)
            is_ended = False
        is_ended = is_ended or is_end
    return [text[start:end].strip() for start, end in itertools.pairwise([*starts, len(text)])]


def _is_punctuation(word: str) -> bool:
    return all(unicodedata.category(char).startswith("P") for char in word)
