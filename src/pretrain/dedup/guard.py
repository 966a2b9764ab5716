"""Stops near-duplicate removal that takes most of a source for copies of one document, and says why."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pretrain.dedup.config import MinHashConfig
from pretrain.dedup.keeper import id_texts
from pretrain.dedup.shuffle import Int64Array, UInt64Array
from pretrain.dedup.texts import TextSource
from pretrain.errors import StageError
from pretrain.stage import UnitFiles

_WORD = re.compile(r"\w+")
_SPAN_CHARS = 300
_NUM_SPANS = 3
_TEXTS_READ = 100


class NearDuplicates(NamedTuple):
    """Documents removed as near-duplicates.

    indices: document indices by position, shape (n,).
    ids: halves of their ids, shape (n, 2).
    sources: numbers of their sources, shape (n,).
    pairs: positions of a removed document and of its keeper, shape (removed, 2).
    """

    indices: Int64Array
    ids: UInt64Array
    sources: Int64Array
    pairs: Int64Array


class Span(NamedTuple):
    """A piece of text, and how many texts its n-grams occur in."""

    text: str
    num_texts: int


class ClusterGuard(NamedTuple):
    """The limit, and what a message about it needs.

    sources: names by number.
    num_documents: documents of every source before deduplication.
    """

    config: MinHashConfig
    texts: TextSource
    sources: tuple[str, ...]
    num_documents: tuple[int, ...]

    def check(self, files: UnitFiles, found: NearDuplicates) -> None:
        """Passes when no keeper stands for too much of a source.

        Raises:
            StageError: near-duplicates of one keeper are more than `max_cluster_fraction` of the documents of a
                source, and at least `min_cluster_documents`. It names the keeper and the spans that most of them
                share.
        """
        sources = found.sources[found.pairs[:, 0]]
        counts = Counter(zip(found.pairs[:, 1].tolist(), sources.tolist(), strict=True))
        for (keeper, source), count in counts.most_common():
            if count < self.config.min_cluster_documents:
                return
            if count > self.config.max_cluster_fraction * self.num_documents[source]:
                members = found.pairs[(found.pairs[:, 1] == keeper) & (sources == source), 0]
                raise StageError(self._message(files, found, keeper, source, members))

    def _message(self, files: UnitFiles, found: NearDuplicates, keeper: int, source: int, members: Int64Array) -> str:
        [keeper_text] = self.texts.read(files, found.indices[[keeper]])
        texts = list(self.texts.read(files, np.sort(found.indices[members[:_TEXTS_READ]])))
        spans = most_common_spans(keeper_text, texts, self.config.ngram)
        shared = "; ".join(f"{span.num_texts} of {len(texts)} of them share {span.text!r}" for span in spans)
        return (
            f"{len(members)} of the {self.num_documents[source]} documents of source {self.sources[source]!r} are "
            f"near-duplicates of document {id_texts(found.ids[[keeper]])[0]}, more than "
            f"dedup.minhash.max_cluster_fraction {self.config.max_cluster_fraction}. {shared or 'They share no span'}. "
            "If this is a template, cut it (dedup.segments) or raise dedup.minhash.threshold; if they are true "
            "copies, raise max_cluster_fraction"
        )


def most_common_spans(keeper_text: str, texts: Sequence[str], ngram: int) -> list[Span]:
    """Spans of the keeper that most texts share, the most common first, then the longest; three at most.

    A span is a run of word n-grams that occur in equally many texts, cut after 300 characters.

    Args:
        keeper_text: where the spans are taken from.
        texts: the documents that are said to repeat it.
        ngram: words.
    """
    words = list(_WORD.finditer(keeper_text))
    width = max(1, min(ngram, len(words)))
    sets = [set(_ngrams(_WORD.findall(text.lower()), width)) for text in texts]
    own = _ngrams([match.group().lower() for match in words], width)
    counts = [sum(gram in grams for grams in sets) for gram in own]
    runs, start = [], 0
    for position in range(1, len(counts) + 1):
        if position == len(counts) or counts[position] != counts[start]:
            runs.append((-counts[start], start - position, start))
            start = position
    spans = []
    for count, length, first in sorted(run for run in runs if run[0])[:_NUM_SPANS]:
        text = keeper_text[words[first].start() : words[first - length + width - 2].end()]
        spans.append(Span(text[:_SPAN_CHARS], -count))
    return spans


def _ngrams(words: list[str], width: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + width]) for start in range(len(words) - width + 1)]
