"""Who stays: the one step that sees all groups and verified pairs, but no text.

The rule: documents are taken in keeper order. A document is removed as

- `exact_duplicate` if a document that was kept has the same normalised text, otherwise as
- `near_duplicate` if one that was kept has the same words (similarity 1) or is linked to it by a verified
  pair; of several it is the most similar, then the one first in keeper order;

and otherwise kept. So the Jaccard similarity of every removed document with the document kept in its place
has been computed and reaches the threshold. Similarity is never passed on: in a chain a~b~c where a is kept
and c is unlike a, b goes and c stays, whereas connected components would remove both.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pretrain.artifact import Artifact
from pretrain.dedup.config import DedupConfig
from pretrain.dedup.groups import read_groups
from pretrain.dedup.guard import NearDuplicates, check_clusters
from pretrain.dedup.keeper import COLUMNS, keeper_order
from pretrain.dedup.signatures import Corpus, Int64Array, ReadScratch, read_rows
from pretrain.dedup.verification import VERIFIED
from pretrain.stage import Stats, UnitFiles

DECISIONS = "scratch/decisions.parquet"
CLUSTERS = "clusters/part-00000.parquet"

EXACT, NEAR = "exact_duplicate", "near_duplicate"

_DECISION_SCHEMA = pa.schema(
    [
        pa.field("index", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("threshold", pa.float64(), nullable=False),
        pa.field("evidence", pa.string(), nullable=False),
    ]
)
_CLUSTER_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("cluster", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
    ]
)
# Removal reads only the row groups that overlap its part.
_ROW_GROUP_ROWS = 1 << 14


class DecisionUnit(NamedTuple):
    """Everything that grouping and verification found; file names without folder and suffix."""

    artifact: Artifact
    corpus: Corpus
    config: DedupConfig
    exact_groups: tuple[str, ...]
    words_groups: tuple[str, ...]
    verified: tuple[str, ...]
    documents_by_source: Mapping[str, int]


class Relations(NamedTuple):
    """How n documents relate, by their position in keeper order.

    exact: number of the group of equal normalised texts, or -1. Shape (n,).
    words: number of the group of equal words, from 0 to n - 1. Shape (n,).
    links: verified pairs of groups of words, `VERIFIED` records in any order.
    """

    exact: Int64Array
    words: Int64Array
    links: NDArray[np.void]


class Decisions(NamedTuple):
    """What becomes of n documents, by their position in keeper order.

    keeper: position of the document kept instead, or -1 for a document that stays. Shape (n,).
    is_exact: whether it is an exact duplicate. Shape (n,).
    value: similarity with the keeper. Shape (n,).
    """

    keeper: Int64Array
    is_exact: NDArray[np.bool_]
    value: NDArray[np.float64]


def decide_duplicates(files: UnitFiles, unit: DecisionUnit) -> Stats:
    """Writes what is removed and why, sorted by document index, and the cluster table.

    Raises:
        StageError: one keeper takes more of a source than `max_cluster_fraction`.
    """
    involved, documents, relations = _read_relations(files.scratch, unit)
    decisions = decide(relations)
    removed = np.flatnonzero(decisions.keeper >= 0)
    if unit.config.minhash is not None:
        is_near = removed[~decisions.is_exact[removed]]
        found = NearDuplicates(involved, documents, np.stack([is_near, decisions.keeper[is_near]], axis=1))
        check_clusters(unit.artifact, unit.corpus, unit.config.minhash, unit.documents_by_source, found)
    _write_decisions(files, unit.config, involved, documents, decisions)
    return _write_clusters(files, involved, documents, decisions)


def decide(relations: Relations) -> Decisions:
    """Applies the rule of this module."""
    bounds, others, similarity = _adjacency(relations)
    size = len(relations.exact)
    kept_text: dict[int, int] = {}
    kept_words: dict[int, int] = {}
    keeper, is_exact, value = np.full(size, -1), np.zeros(size, np.bool_), np.zeros(size)
    for position, (exact, words) in enumerate(zip(relations.exact.tolist(), relations.words.tolist(), strict=True)):
        best, best_value = -1, 0.0
        if exact in kept_text:
            best, best_value, is_exact[position] = kept_text[exact], 1.0, True
        elif words in kept_words:
            best, best_value = kept_words[words], 1.0
        else:
            for link in range(bounds[words], bounds[words + 1]):
                other = kept_words.get(others[link], -1)
                if other >= 0 and (similarity[link], -other) > (best_value, -best):
                    best, best_value = other, similarity[link]
        if best < 0:
            kept_words[words] = position
            if exact >= 0:
                kept_text[exact] = position
        keeper[position], value[position] = best, best_value
    return Decisions(keeper, is_exact, value)


def _adjacency(relations: Relations) -> tuple[list[int], list[int], list[float]]:
    links = relations.links
    origin = np.concatenate([links["left"], links["right"]])
    target = np.concatenate([links["right"], links["left"]])
    order = np.lexsort((target, origin))
    bounds = np.searchsorted(origin[order], np.arange(len(relations.exact) + 1))
    similarity = np.concatenate([links["jaccard"], links["jaccard"]])
    return bounds.tolist(), target[order].tolist(), similarity[order].tolist()


def _read_relations(scratch: ReadScratch, unit: DecisionUnit) -> tuple[Int64Array, pa.Table, Relations]:
    exact = read_groups(scratch, unit.exact_groups)
    words = read_groups(scratch, unit.words_groups)
    links = np.concatenate([np.empty(0, VERIFIED), *(np.load(scratch(f"scratch/{n}.npy")) for n in unit.verified)])
    indices = np.unique(np.concatenate([exact[:, 0], words[:, 0], links["left"], links["right"]]))
    documents = read_rows(scratch, unit.corpus, indices, COLUMNS)
    order = keeper_order(documents, unit.config.keep)
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))

    def positions(of: Int64Array) -> Int64Array:
        found: Int64Array = position[np.searchsorted(indices, of)]
        return found

    exact_group, words_group = np.full(len(order), -1), np.arange(len(order))
    exact_group[positions(exact[:, 0])] = positions(exact[:, 1])
    words_group[positions(words[:, 0])] = positions(words[:, 1])
    links["left"], links["right"] = positions(links["left"]), positions(links["right"])
    return indices[order], documents.take(pa.array(order)), Relations(exact_group, words_group, links)


def _write_decisions(
    files: UnitFiles, config: DedupConfig, involved: Int64Array, documents: pa.Table, decisions: Decisions
) -> None:
    removed = np.flatnonzero(decisions.keeper >= 0)
    removed = removed[np.argsort(involved[removed])]
    is_exact = decisions.is_exact[removed]
    near_threshold = config.minhash.threshold if config.minhash is not None else 1.0
    columns = {
        "index": involved[removed],
        "reason": np.where(is_exact, EXACT, NEAR).tolist(),
        "value": decisions.value[removed],
        "threshold": np.where(is_exact, 1.0, near_threshold),
        "evidence": documents["id"].take(pa.array(decisions.keeper[removed])),
    }
    with files.create(DECISIONS) as output:
        pq.write_table(pa.table(columns, _DECISION_SCHEMA), output.path, row_group_size=_ROW_GROUP_ROWS)
        output.rows = len(removed)


def _write_clusters(files: UnitFiles, involved: Int64Array, documents: pa.Table, decisions: Decisions) -> Stats:
    cluster = np.where(decisions.keeper >= 0, decisions.keeper, np.arange(len(involved)))
    sizes = np.bincount(cluster, minlength=len(involved))
    members = np.flatnonzero(sizes[cluster] > 1)
    members = members[np.lexsort((involved[members], involved[cluster[members]]))]
    columns = {
        "id": documents["id"].take(pa.array(members)),
        "cluster": documents["id"].take(pa.array(cluster[members])),
        "size": sizes[cluster[members]],
    }
    with files.create(CLUSTERS) as output:
        pq.write_table(pa.table(columns, _CLUSTER_SCHEMA), output.path, compression="zstd")
        output.rows = len(members)
    clusters = sizes[sizes > 1]
    return {"clusters": len(clusters), "largest_cluster": int(clusters.max(initial=0))}
