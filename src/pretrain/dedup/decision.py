"""Who goes, in favour of whom: decided for the documents of some components, without any text.

An exact duplicate goes by the relation that the first step found. Of the rest, documents are taken in keeper order. A
document is a `near_duplicate` if one that was kept has the same words (similarity 1) or is linked to it by a verified
pair; of several it is the most similar, then the one first in keeper order. Otherwise it is kept.

So the similarity of every removed document with the document named as evidence has been computed and reaches the
threshold. Similarity is never passed on: in a chain a~b~c where a is kept and c is unlike a, b goes and c stays,
whereas connected components would remove both. A keeper of exact duplicates may go itself as a near-duplicate: its own
row of the ledger then names who stays.

A document that may not go (`copies: all_but`) stays, and shares a cluster with every kept document that it repeats.
With `copies: none` what was kept goes too where it has any relation; its evidence is the document most like it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pretrain.dedup.config import DedupConfig
from pretrain.dedup.exact import GOES_WITHOUT_KEEPER
from pretrain.dedup.graph import choose
from pretrain.dedup.guard import ClusterGuard, NearDuplicates
from pretrain.dedup.keeper import is_old, is_removable
from pretrain.dedup.relations import Related, read_related
from pretrain.dedup.shuffle import Int64Array, Slice, UInt64Array, bounds_of, write_rows
from pretrain.stage import Stats, UnitFiles

# Index, halves of the evidence's id, bits of the similarity, reason.
DECISION_COLUMNS = 5
EXACT, NEAR = 0, 1
REASONS = ("exact_duplicate", "near_duplicate")

# Halves of the cluster's id, halves of the id, size of the cluster, whether this artifact has it.
CLUSTER_COLUMNS = 6


class DecisionUnit(NamedTuple):
    """One partition of components; `starts` as in `ExactGroupUnit`."""

    name: str
    documents: tuple[Slice, ...]
    links: tuple[Slice, ...]
    config: DedupConfig
    guard: ClusterGuard | None
    starts: list[int]


class Decisions(NamedTuple):
    """What becomes of n documents, by their position in keeper order.

    evidence: position of the document that it repeats, or -1 for one that stays. Shape (n,).
    reason: `EXACT` or `NEAR`. Shape (n,).
    value: similarity with the evidence. Shape (n,).
    cluster: position of the first document of its cluster. Shape (n,).
    """

    evidence: Int64Array
    reason: Int64Array
    value: NDArray[np.float64]
    cluster: Int64Array


def decide_partition(files: UnitFiles, unit: DecisionUnit) -> Stats:
    """Writes what is removed and why, in order of document index, and the clusters.

    Raises:
        StageError: one keeper takes more of a source than `max_cluster_fraction`.
    """
    related = read_related(files, unit.documents, unit.links)
    decisions = decide(related, unit.config.keep.copies == "none")
    if unit.guard is not None:
        near = np.flatnonzero((decisions.evidence >= 0) & (decisions.reason == NEAR))
        pairs = np.stack([near, decisions.evidence[near]], axis=1)
        unit.guard.check(files, NearDuplicates(related.indices, related.keys[:, 2:], related.sources, pairs))
    rows = _removed_rows(related, decisions)
    write_rows(files, unit.name, rows)
    clusters = _cluster_rows(related, decisions)
    write_rows(files, f"{unit.name}-clusters", clusters)
    return {"files": [(unit.name, bounds_of(rows[:, 0], unit.starts))], "cluster_rows": len(clusters)}


def decide(related: Related, drops_all: bool = False) -> Decisions:
    """Applies the rule of this module; `drops_all` is `copies: none`."""
    size = len(related.indices)
    is_exact = related.exact_code > 0
    bounds, others, similarity = _adjacency(related)
    may_go = is_removable(related.keys)
    evidence, value, cluster = choose(related.words, may_go, is_exact, bounds, others, similarity)
    evidence[~may_go] = -1
    if drops_all:
        _drop_what_has_relations(related, evidence, value, (bounds, others, similarity))
    evidence[is_exact], value[is_exact] = related.exact[is_exact], 1.0
    follows = (related.exact >= 0) & (related.exact_code != GOES_WITHOUT_KEEPER)
    # Protected copies of one text are related without going; the first of them was decided before.
    for position in np.flatnonzero(follows).tolist():
        cluster[position] = cluster[related.exact[position]]
    return Decisions(evidence, np.where(is_exact, EXACT, NEAR)[:size], value, cluster)


def _adjacency(related: Related) -> tuple[Int64Array, Int64Array, NDArray[np.float64]]:
    origin = np.concatenate([related.left, related.right])
    target = np.concatenate([related.right, related.left])
    order = np.lexsort((target, origin))
    bounds = np.searchsorted(origin[order], np.arange(len(related.indices) + 1))
    return bounds, target[order], np.concatenate([related.similarity] * 2)[order]


def _drop_what_has_relations(
    related: Related,
    evidence: Int64Array,
    value: NDArray[np.float64],
    adjacency: tuple[Int64Array, Int64Array, NDArray[np.float64]],
) -> None:
    bounds, others, similarity = adjacency
    repeats = np.flatnonzero(related.words != np.arange(len(related.words)))[::-1]
    twins = dict(zip(related.words[repeats].tolist(), repeats.tolist(), strict=True))
    for position in np.flatnonzero((evidence < 0) & (related.exact_code == 0)).tolist():
        first, last = bounds[position], bounds[position + 1]
        if position in twins:
            evidence[position], value[position] = twins[position], 1.0
        elif last > first:
            best = first + int(np.lexsort((others[first:last], -similarity[first:last]))[0])
            evidence[position], value[position] = others[best], similarity[best]


def _removed_rows(related: Related, decisions: Decisions) -> UInt64Array:
    removed = np.flatnonzero(decisions.evidence >= 0)
    removed = removed[np.argsort(related.indices[removed])]
    rows = np.empty((len(removed), DECISION_COLUMNS), np.uint64)
    rows[:, 0] = related.indices[removed]
    rows[:, 1:3] = related.keys[decisions.evidence[removed], 2:]
    rows[:, 3] = decisions.value[removed].view(np.uint64)
    rows[:, 4] = decisions.reason[removed]
    return rows


def _cluster_rows(related: Related, decisions: Decisions) -> UInt64Array:
    sizes = np.bincount(decisions.cluster, minlength=len(related.indices))[decisions.cluster]
    members = np.flatnonzero(sizes > 1)
    rows = np.empty((len(members), CLUSTER_COLUMNS), np.uint64)
    rows[:, :2] = related.keys[decisions.cluster[members], 2:]
    rows[:, 2:4] = related.keys[members, 2:]
    rows[:, 4] = sizes[members]
    rows[:, 5] = (decisions.evidence[members] < 0) & ~is_old(related.keys[members])
    return rows
