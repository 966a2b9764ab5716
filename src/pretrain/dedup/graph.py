"""Loops over a graph of documents: connected components, and who stays of related documents.

Every kernel lives in this file, for the reason given in `pretrain.dedup.kernels`.
"""

import numpy as np
from numpy.typing import NDArray

from pretrain.dedup.compiled import compiled

Int64Array = NDArray[np.int64]


@compiled
def unite(parents: NDArray[np.integer], left: NDArray[np.integer], right: NDArray[np.integer]) -> None:
    """Unites the sets of the ends of every edge, in place; the root of a set is its smallest member.

    Args:
        parents: union-find forest, shape (n,); `arange(n)` at first.
        left: one end of every edge, shape (edges,).
        right: the other end.
    """
    for edge in range(len(left)):
        first, second = _root(parents, left[edge]), _root(parents, right[edge])
        if first < second:
            parents[second] = first
        else:
            parents[first] = second


@compiled
def flatten(parents: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Makes every entry its root, in place, and tells which are in a set of two or more. Shape (n,)."""
    is_shared = np.zeros(len(parents), np.bool_)
    for index in range(len(parents)):
        # Parents have smaller numbers, so theirs is a root by now.
        parents[index] = parents[parents[index]]
        if parents[index] != index:
            is_shared[index] = True
            is_shared[parents[index]] = True
    return is_shared


@compiled
def choose(
    words: Int64Array,
    may_go: NDArray[np.bool_],
    is_gone: NDArray[np.bool_],
    bounds: Int64Array,
    others: Int64Array,
    similarity: NDArray[np.float64],
) -> tuple[Int64Array, NDArray[np.float64], Int64Array]:
    """Who stays, for n documents in keeper order. See `pretrain.dedup.decision` for the rule.

    Args:
        words: position of the first document with the same words, shape (n,).
        may_go: whether a document may be removed, shape (n,).
        is_gone: whether it was removed by an earlier step, shape (n,).
        bounds: the links of group `words[i]` are `bounds[words[i]]` up to `bounds[words[i] + 1]`, shape (n + 1,).
        others: group at the other end of every link.
        similarity: of every link.

    Returns:
        position of the document that a document repeats, or -1; similarity with it; and position of the first
        document of its cluster. Each of shape (n,).
    """
    size = len(words)
    kept = np.full(size, -1, np.int64)
    keeper, value, cluster = np.full(size, -1, np.int64), np.zeros(size), np.arange(size)
    for position in range(size):
        if is_gone[position]:
            continue
        group = words[position]
        best, best_value = kept[group], 1.0 if kept[group] >= 0 else 0.0
        if best < 0:
            for link in range(bounds[group], bounds[group + 1]):
                other = kept[others[link]]
                if other >= 0 and (
                    similarity[link] > best_value or (similarity[link] == best_value and (best < 0 or other < best))
                ):
                    best, best_value = other, similarity[link]
        keeper[position], value[position] = best, best_value
        if best >= 0:
            cluster[position] = best
        if best < 0 or not may_go[position]:
            if kept[group] < 0:
                kept[group] = position
            for link in range(bounds[group], bounds[group + 1]):
                other = kept[others[link]]
                if other >= 0:
                    _unite_pair(cluster, other, position)
    for position in range(size):
        cluster[position] = _root(cluster, position)
    return keeper, value, cluster


@compiled
def _unite_pair(parents: Int64Array, left: int, right: int) -> None:
    first, second = _root(parents, left), _root(parents, right)
    parents[max(first, second)] = min(first, second)


@compiled
def _root(parents: NDArray[np.integer], index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = parents[index]
    return index
