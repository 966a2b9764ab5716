"""Which items a document holds, and where: n-grams found become spans of passages, passages become items."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pretrain.decontaminate.index import PassageIndex
from pretrain.decontaminate.kernels import Bytes, Int64Array, find_ngrams, word_spans


class ItemHit(NamedTuple):
    """One item found in one document.

    Attributes:
        task: the item's task.
        item: its id there.
        start: where its longest span begins, in bytes of the document's UTF-8 text.
        end: where that ends.
        num_words: words of that span.
        fraction: share of the distinct n-grams of its best passage that the document holds.
    """

    task: str
    item: str
    start: int
    end: int
    num_words: int
    fraction: float


class Contamination(NamedTuple):
    """What was found in one document.

    Attributes:
        text: the document's number among those searched.
        spans: of all items found, merged, in order; start and end in bytes, shape (num_spans, 2).
        fraction: share of the document's words that lie in `spans`.
        hits: the items, in order of the index.
    """

    text: int
    spans: Int64Array
    fraction: float
    hits: list[ItemHit]


class _Span(NamedTuple):
    """The longest run of words of a passage, from `first` to `last`, and the share of its n-grams found."""

    first: int
    last: int
    fraction: float


def find_contamination(
    data: Bytes, offsets: Int64Array, index: PassageIndex, min_item_fraction: float
) -> Iterator[Contamination]:
    """The documents that hold an item, in order.

    Args:
        data: the UTF-8 bytes of all texts.
        offsets: text i is `data[offsets[i]:offsets[i + 1]]`.
        index: what to look for.
        min_item_fraction: share of a passage's distinct n-grams that make a hit; 0: one n-gram.
    """
    num_words, found = find_ngrams(data, offsets, index.ngrams)
    borders = np.flatnonzero(np.diff(found[:, 0], prepend=-1))
    for hits in np.split(found, borders[1:]) if len(found) else ():
        text = int(hits[0, 0])
        document = data[offsets[text] : offsets[text + 1]]
        contamination = _of_document(document, hits, index, min_item_fraction, int(num_words[text]))
        if contamination is not None:
            yield contamination._replace(text=text)


def _of_document(
    document: Bytes, hits: Int64Array, index: PassageIndex, min_item_fraction: float, num_words: int
) -> Contamination | None:
    ngrams, lasts = hits[:, 1], hits[:, 2]
    firsts = lasts - (index.ngrams.ends - index.ngrams.starts)[ngrams] + 1
    counts = index.first_passage[ngrams + 1] - index.first_passage[ngrams]
    of_hit = np.repeat(np.arange(len(hits)), counts)
    within = np.arange(len(of_hit)) - np.repeat(np.cumsum(counts) - counts, counts)
    passages = index.passages[index.first_passage[ngrams][of_hit] + within]
    order = np.argsort(passages, kind="stable")
    borders = np.flatnonzero(np.diff(passages[order], prepend=-1))
    by_item: dict[int, _Span] = {}
    everywhere = []
    for rows in np.split(order, borders[1:]):
        passage, own = int(passages[rows[0]]), of_hit[rows]
        fraction = len(np.unique(ngrams[own])) / int(index.num_ngrams[passage])
        if fraction < min_item_fraction:
            continue
        runs = _merged(firsts[own], lasts[own])
        everywhere.append(runs)
        first, last = runs[np.argmax(runs[:, 1] - runs[:, 0])].tolist()
        for item in index.items[index.first_item[passage] : index.first_item[passage + 1]].tolist():
            by_item[item] = _better(by_item.get(item), _Span(first, last, fraction))
    if not everywhere:
        return None
    return _located(document, np.concatenate(everywhere), by_item, index, num_words)


def _located(
    document: Bytes, runs: Int64Array, by_item: dict[int, _Span], index: PassageIndex, num_words: int
) -> Contamination:
    """Runs of words as places in the document."""
    merged = _merged(runs[:, 0], runs[:, 1])
    numbers = np.unique(runs)
    places = word_spans(document, index.ngrams.fold, numbers)
    place_of = dict(zip(numbers.tolist(), places.tolist(), strict=True))
    hits = []
    for item, name in zip(sorted(by_item), index.names.take(sorted(by_item)).to_pylist(), strict=True):
        first, last, share = by_item[item]
        hits.append(ItemHit(name["task"], name["item"], place_of[first][0], place_of[last][1], last - first + 1, share))
    rows = np.searchsorted(numbers, merged)
    spans = np.stack([places[rows[:, 0], 0], places[rows[:, 1], 1]], axis=1)
    fraction = int((merged[:, 1] - merged[:, 0] + 1).sum()) / num_words
    return Contamination(0, spans, fraction, hits)


def _merged(firsts: Int64Array, lasts: Int64Array) -> Int64Array:
    """Runs of words that overlap or follow each other, as one. Shape (num_runs, 2), in order."""
    order = np.lexsort((lasts, firsts))
    firsts, lasts = firsts[order], np.maximum.accumulate(lasts[order])
    begins = np.append(True, firsts[1:] > lasts[:-1] + 1)
    ends = np.append(begins[1:], True)
    return np.stack([firsts[begins], lasts[ends]], axis=1)


def _better(known: _Span | None, other: _Span) -> _Span:
    if known is None:
        return other
    longer = max(known, other, key=lambda span: span.last - span.first)
    return longer._replace(fraction=max(known.fraction, other.fraction))
