"""Removes duplicates: signatures, groups, candidate pairs, verification, decision, removal.

    signatures/      hashes and LSH keys of every document              a unit a part
    scratch/         groups of equal texts and of equal words           a unit a kind and partition of keys
                     pairs that share an LSH bucket                     a unit some bands, or part of one
                     the same, each pair once                           one unit
                     n-gram sets of the documents in pairs              a unit a part
                     pairs that reach the Jaccard threshold             a unit 262,144 pairs
    clusters/        what stays for what                                one unit
    data/, ledger/                                                      a unit a part

How the work is cut follows from the corpus and the config alone, so that output never depends on the workers.
"""

from typing import NamedTuple

from pretrain.artifact import Artifact
from pretrain.dedup.candidates import MergeUnit, band_units, merge_pairs, pair_bands
from pretrain.dedup.config import DedupConfig, MinHashConfig
from pretrain.dedup.decision import DecisionUnit, decide_duplicates
from pretrain.dedup.groups import GroupUnit, group_partition, num_partitions
from pretrain.dedup.removal import RemovalUnit, remove_duplicates
from pretrain.dedup.signatures import EXACT_COLUMNS, WORDS_COLUMNS, Corpus, SignatureUnit, sign_part
from pretrain.dedup.verification import NgramUnit, cut_ngrams, verify_pairs, verify_units
from pretrain.stage import StageContext, Stats, part_name, sum_stats


def build(context: StageContext[DedupConfig]) -> Stats:
    """Deduplicates the artifact in the role `documents`.

    Returns:
        documents_in, documents_out, documents_dropped, bytes_in and bytes_out (of UTF-8 text),
        dropped_by_reason; documents_by_source (kept) and dropped_by_source, by reason; candidate_pairs,
        verified_pairs, capped_buckets, clusters, largest_cluster.

    Raises:
        StageError: near-duplicate removal would take most of a source for copies of one document.
    """
    artifact, config = context.inputs["documents"], context.config
    parts = list(enumerate(artifact.parts()))
    corpus = Corpus(tuple(part.rows for _, part in parts))
    signed = sum_stats(
        context.run_units(
            [(f"signatures-{i:05d}", SignatureUnit(artifact, part, i, config)) for i, part in parts],
            sign_part,
            label="parts signed",
        )
    )
    exact_groups = _find_groups(context, corpus, "exact") if config.exact is not None else ()
    near = _Near((), (), {})
    if config.minhash is not None:
        near = _find_near(context, artifact, corpus, config.minhash)
    by_source = signed.pop("documents_by_source", {})
    unit = DecisionUnit(artifact, corpus, config, exact_groups, near.words_groups, near.verified, by_source)
    decided = sum_stats(context.run_units([("decision", unit)], decide_duplicates, label="decisions"))
    removed = sum_stats(
        context.run_units(
            [(part_name(i), RemovalUnit(artifact, part, i, corpus)) for i, part in parts],
            remove_duplicates,
            label="parts written",
        )
    )
    return _NOTHING | signed | near.stats | decided | removed


_NOTHING: Stats = {
    "documents_in": 0,
    "documents_out": 0,
    "documents_dropped": 0,
    "bytes_in": 0,
    "bytes_out": 0,
    "dropped_by_reason": {},
    "documents_by_source": {},
    "dropped_by_source": {},
    "candidate_pairs": 0,
    "verified_pairs": 0,
    "capped_buckets": 0,
}


class _Near(NamedTuple):
    """Names of the files with groups of equal words and with verified pairs, and counts."""

    words_groups: tuple[str, ...]
    verified: tuple[str, ...]
    stats: Stats


def _find_groups(context: StageContext[DedupConfig], corpus: Corpus, kind: str) -> tuple[str, ...]:
    columns = EXACT_COLUMNS if kind == "exact" else WORDS_COLUMNS
    total = num_partitions(corpus)
    units = [
        GroupUnit(corpus, f"{kind}-{partition:05d}", columns, kind == "words", partition, total)
        for partition in range(total)
    ]
    context.run_units([(unit.name, unit) for unit in units], group_partition, label=f"partitions by {kind}")
    return tuple(unit.name for unit in units)


def _find_near(context: StageContext[DedupConfig], artifact: Artifact, corpus: Corpus, config: MinHashConfig) -> _Near:
    words_groups = _find_groups(context, corpus, "words")
    bands = band_units(corpus, config.bands, words_groups, config.max_bucket_leaders, context.config.keep)
    paired = context.run_units([(unit.name, unit) for unit in bands], pair_bands, label="band partitions")
    merge = MergeUnit(tuple(unit.name for unit in bands))
    merged = context.run_units([("candidates", merge)], merge_pairs, label="candidate lists")
    num_pairs = int(merged[0].stats["candidate_pairs"])
    if num_pairs == 0:
        return _Near(words_groups, (), sum_stats([*paired, *merged]))
    ngrams = [
        (f"ngrams-{i:05d}", NgramUnit(artifact, part, i, corpus, config.ngram))
        for i, part in enumerate(artifact.parts())
    ]
    context.run_units(ngrams, cut_ngrams, label="parts cut into n-grams")
    units = verify_units(corpus, num_pairs, config.threshold)
    verified = context.run_units([(unit.name, unit) for unit in units], verify_pairs, label="verifications")
    return _Near(words_groups, tuple(unit.name for unit in units), sum_stats([*paired, *merged, *verified]))
