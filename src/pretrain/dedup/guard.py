"""Stops near-duplicate removal that takes most of a source for copies of one document, and says why."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pretrain.artifact import Artifact
from pretrain.dedup.config import MinHashConfig
from pretrain.dedup.signatures import Corpus, Int64Array
from pretrain.dedup.texts import read_texts_of
from pretrain.errors import StageError

_WORD = re.compile(r"\w+")
_SPAN_CHARS = 300
_TEXTS_READ = 100


class NearDuplicates(NamedTuple):
    """Documents removed as near-duplicates.

    indices: document indices by position, shape (n,).
    documents: their columns `id` and `source`, in the same order.
    pairs: positions of a removed document and of its keeper, shape (removed, 2).
    """

    indices: Int64Array
    documents: pa.Table
    pairs: Int64Array


def check_clusters(
    artifact: Artifact,
    corpus: Corpus,
    config: MinHashConfig,
    documents_by_source: Mapping[str, int],
    found: NearDuplicates,
) -> None:
    """Passes when no keeper stands for too much of a source.

    Raises:
        StageError: near-duplicates of one keeper are more than `max_cluster_fraction` of the documents of a
            source, and at least `min_cluster_documents`. It names the keeper and the span that most of them
            share.
    """
    names = found.documents["source"].to_pylist()
    sources = [names[position] for position in found.pairs[:, 0]]
    counts = Counter(zip(found.pairs[:, 1].tolist(), sources, strict=True))
    for (keeper, source), count in counts.most_common():
        if count < config.min_cluster_documents:
            return
        total = documents_by_source[source]
        if count > config.max_cluster_fraction * total:
            is_member = (found.pairs[:, 1] == keeper) & (np.array(sources) == source)
            members = found.pairs[is_member, 0][:_TEXTS_READ]
            keeper_text = next(read_texts_of(artifact, corpus, found.indices[[keeper]]))
            texts = list(read_texts_of(artifact, corpus, np.sort(found.indices[members])))
            span, shared_by = most_common_span(keeper_text, texts, config.ngram)
            raise StageError(
                f"{count} of the {total} documents of source {source!r} are near-duplicates of document "
                f"{found.documents['id'][keeper].as_py()}, more than dedup.minhash.max_cluster_fraction "
                f"{config.max_cluster_fraction}. {shared_by} of {len(texts)} of them share {span!r}. If this "
                "is a template, remove it before or raise dedup.minhash.threshold; if they are true copies, "
                "raise max_cluster_fraction"
            )


def most_common_span(keeper_text: str, texts: Sequence[str], ngram: int) -> tuple[str, int]:
    """The longest span of the keeper whose every word n-gram occurs in as many texts as the most common one.

    Args:
        keeper_text: where the span is taken from.
        texts: the documents that are said to repeat it.
        ngram: words.

    Returns:
        the span, cut after 300 characters, and in how many texts its n-grams occur.
    """
    words = list(_WORD.finditer(keeper_text))
    width = max(1, min(ngram, len(words)))
    sets = [set(_ngrams(_WORD.findall(text.lower()), width)) for text in texts]
    own = _ngrams([match.group().lower() for match in words], width)
    counts = [sum(gram in grams for grams in sets) for gram in own]
    if not counts:
        return "", 0
    most, start, best = max(counts), 0, (0, 0)
    for position, count in enumerate([*counts, -1]):
        if count != most:
            best = max(best, (position - start, -start))
            start = position + 1
    first = -best[1]
    span = keeper_text[words[first].start() : words[first + best[0] + width - 2].end()]
    return span[:_SPAN_CHARS], most


def _ngrams(words: list[str], width: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + width]) for start in range(len(words) - width + 1)]
