"""The stage `filter`: one unit a part of the upstream artifact.

Writes `data/part-NNNNN.parquet` with the documents that stay and `ledger/part-NNNNN.parquet` with a row for
every document dropped and for every change of a document that stays. A part whose documents all go is empty,
not absent.
"""

from typing import NamedTuple

from pretrain.artifact import Artifact, PartRecord
from pretrain.documents import Document, LedgerRow, document_writer, ledger_writer, read_documents
from pretrain.filter.config import FilterConfig
from pretrain.filter.judgement import judge
from pretrain.filter.verdict import Drop, Rewrite
from pretrain.stage import StageContext, Stats, UnitFiles, part_name, sum_stats


class FilterPart(NamedTuple):
    """One unit: a part of the upstream artifact."""

    name: str
    stage: str
    documents: Artifact
    part: PartRecord
    config: FilterConfig


def build(context: StageContext[FilterConfig]) -> Stats:
    """Judges every document of the input `documents`.

    Returns:
        documents_in, documents_out, documents_dropped, documents_changed, bytes_in and bytes_out (of UTF-8
        text), dropped_by_reason, changed_by_reason.
    """
    documents = context.inputs["documents"]
    units = [
        (name, FilterPart(name, context.stage, documents, part, context.config))
        for index, part in enumerate(documents.parts())
        for name in [part_name(index)]
    ]
    receipts = context.run_units(units, filter_part)
    return {**_no_stats(), **sum_stats(receipts)}


def filter_part(files: UnitFiles, unit: FilterPart) -> Stats:
    """Judges the documents of one part and returns its counts."""
    rules = [config.make_rule() for config in unit.config.rules]
    stats = _no_stats()
    with (
        files.create(f"data/{unit.name}.parquet") as data,
        files.create(f"ledger/{unit.name}.parquet") as ledger,
        document_writer(data.path) as kept,
        ledger_writer(ledger.path) as rows,
    ):
        for document in read_documents(unit.documents.open_part(unit.part)):
            judgement = judge(rules, document.text)
            stats["documents_in"] += 1
            stats["bytes_in"] += len(document.text.encode())
            if judgement.drop is not None:
                rows.append(_row(document, unit.stage, judgement.drop))
                stats["documents_dropped"] += 1
                _count(stats["dropped_by_reason"], judgement.drop.reason)
                continue
            for rewrite in judgement.rewrites:
                rows.append(_row(document, unit.stage, rewrite))
                _count(stats["changed_by_reason"], rewrite.reason)
            kept.append(document._replace(text=judgement.text))
            stats["documents_out"] += 1
            stats["documents_changed"] += bool(judgement.rewrites)
            stats["bytes_out"] += len(judgement.text.encode())
        data.rows, ledger.rows = kept.num_rows, rows.num_rows
    return stats


def _row(document: Document, stage: str, verdict: Drop | Rewrite) -> LedgerRow:
    return LedgerRow(
        id=document.id,
        source=document.source,
        stage=stage,
        reason=verdict.reason,
        value=verdict.value,
        threshold=verdict.threshold,
        evidence=verdict.evidence,
    )


def _count(counts: dict[str, int], reason: str) -> None:
    counts[reason] = counts.get(reason, 0) + 1


def _no_stats() -> Stats:
    return {
        "documents_in": 0,
        "documents_out": 0,
        "documents_dropped": 0,
        "documents_changed": 0,
        "bytes_in": 0,
        "bytes_out": 0,
        "dropped_by_reason": {},
        "changed_by_reason": {},
    }
