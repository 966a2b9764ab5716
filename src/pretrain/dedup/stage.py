"""Removes duplicates: exact copies, repeated segments, near copies, repeated substrings; then decides and writes.

    signatures/documents/   id, source, length and hash of every document          a unit a part
    scratch/exact           hashes, shuffled; documents with the same one          a group of parts; a partition
    scratch/segments        hashes of segments, shuffled; those to cut             a part; a partition
    signatures/minhash/     LSH keys of every document that is left                a unit a part
    scratch/words           documents with the same words                          a group of parts; a partition
    scratch/bands           band keys, shuffled; pairs that share a bucket         a group of parts; a partition
    scratch/candidates      those pairs, each once                                 a range of documents
    scratch/ngrams          n-gram sets of the documents in pairs                  a part
    scratch/verified        pairs that reach the threshold                         262,144 pairs
    scratch/components      connected documents                                    one unit
    scratch/relations       what is known of them, shuffled                        a group of parts
    scratch/decisions       what goes for what                                     a partition of components
    scratch/anchors         pieces of what is left, shuffled; those that repeat    a part; a partition
    scratch/windows         windows of bytes around those, shuffled; spans to cut  a part; a partition
    clusters/               the cluster table                                      524,288 documents, or more
    data/, ledger/                                                                 a unit a part

Groups, partitions and ranges are cut to the memory limit. The files of the artifact follow from documents and config
alone, whatever the limit, the workers and the order in which units end.
"""

from pretrain.dedup.against import corpus_parts, open_against
from pretrain.dedup.config import DedupConfig, MinHashConfig
from pretrain.dedup.corpus import make_layout
from pretrain.dedup.listing import ListingUnit, list_documents
from pretrain.dedup.outcome import Findings, write_outcome
from pretrain.dedup.phases import Phases
from pretrain.stage import Receipt, StageContext, Stats, sum_stats


def build(context: StageContext[DedupConfig]) -> Stats:
    """Deduplicates the artifact in the role `documents`.

    Returns:
        documents_in, documents_out, documents_dropped, documents_changed, bytes_in and bytes_out (of UTF-8 text),
        dropped_by_reason, changed_by_reason; documents_by_source (kept) and dropped_by_source, by reason;
        documents_signed, repeated_segments, candidate_pairs, verified_pairs, capped_buckets, clusters,
        largest_cluster.

    Raises:
        StageError: near-duplicate removal would take most of a source for copies of one document, or a step needs
            more memory than the limit.
        UsageError: an artifact of `against` cannot be used.
    """
    config = context.config
    parts = corpus_parts(context.inputs["documents"], open_against(context.store, config))
    listing = [(f"documents-{part.number:05d}", ListingUnit(part, config)) for part in parts if not part.is_old]
    listed = sum_stats(context.run_units(listing, list_documents, label="parts listed"))
    by_source = listed.pop("documents_in_by_source", {})
    phases = Phases(context, make_layout(parts, config.memory_limit_bytes))
    exact = phases.relate_exact() if config.exact is not None else []
    edits: list[Receipt] = []
    counts: Stats = {}
    if config.segments is not None:
        edits = phases.find_segments(exact, config.segments, listed.get("bytes_in", 0))
        counts["repeated_segments"] = sum(receipt.stats["repeated_segments"] for receipt in edits)
    same_words: list[Receipt] = []
    links: list[Receipt] = []
    if config.minhash is not None:
        same_words, links, near_counts = _find_near(phases, exact, edits, config.minhash)
        counts |= near_counts
    written = write_outcome(phases, Findings(by_source, listed.get("bytes_in", 0), exact, edits, same_words, links))
    return _NOTHING | listed | counts | written


_NOTHING: Stats = {
    "documents_in": 0,
    "documents_out": 0,
    "documents_dropped": 0,
    "documents_changed": 0,
    "bytes_in": 0,
    "bytes_out": 0,
    "dropped_by_reason": {},
    "changed_by_reason": {},
    "documents_by_source": {},
    "dropped_by_source": {},
    "documents_signed": 0,
    "repeated_segments": 0,
    "candidate_pairs": 0,
    "verified_pairs": 0,
    "capped_buckets": 0,
}


def _find_near(
    phases: Phases, exact: list[Receipt], edits: list[Receipt], config: MinHashConfig
) -> tuple[list[Receipt], list[Receipt], Stats]:
    signed = phases.sign(exact, edits, config)
    same_words = phases.same_words()
    pairs = phases.pair(same_words, config)
    candidates = phases.candidates(pairs)
    links = phases.verify(candidates, edits, config) if candidates else []
    counts: Stats = {
        name: sum(receipt.stats[name] for receipt in receipts)
        for name, receipts in (
            ("documents_signed", signed),
            ("capped_buckets", pairs),
            ("candidate_pairs", candidates),
            ("verified_pairs", links),
        )
    }
    return same_words, links, counts
