"""The stage `filter`: one unit a part of the upstream artifact.

Writes `data/part-NNNNN.parquet` with the documents that stay and `ledger/part-NNNNN.parquet` with a row for
every document dropped and for every change of a document that stays. A part whose documents all go is empty,
not absent. `metrics/part-NNNNN.parquet` comes with `record_metrics` or `exhaustive`.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pretrain.artifact import Artifact, PartRecord
from pretrain.documents import (
    Document,
    LedgerRow,
    document_writer,
    documents_of,
    ledger_writer,
    read_document_tables,
)
from pretrain.external import ExternalInput
from pretrain.filter.config import FilterConfig
from pretrain.filter.inputs import make_rules
from pretrain.filter.judgement import Judge, Judgement
from pretrain.filter.metrics import MetricsWriter
from pretrain.filter.verdict import Check, Rewrite
from pretrain.stage import StageContext, Stats, UnitFiles, part_name, sum_stats


class FilterPart(NamedTuple):
    """One unit: a part of the upstream artifact."""

    name: str
    stage: str
    documents: Artifact
    part: PartRecord
    config: FilterConfig
    external: Mapping[str, ExternalInput]


def build(context: StageContext[FilterConfig]) -> Stats:
    """Judges every document of the input `documents`.

    Returns:
        documents_in, documents_out, documents_dropped, documents_changed, bytes_in and bytes_out (of UTF-8
        text), dropped_by_reason, changed_by_reason; documents_by_source (kept) and dropped_by_source, by reason;
        failed_by_reason (every test that failed) when the config is exhaustive.
    """
    documents = context.inputs["documents"]
    units = [
        (name, FilterPart(name, context.stage, documents, part, context.config, context.external))
        for index, part in enumerate(documents.parts())
        for name in [part_name(index)]
    ]
    receipts = context.run_units(units, filter_part)
    return {**_no_stats(), **sum_stats(receipts)}


def filter_part(files: UnitFiles, unit: FilterPart) -> Stats:
    """Judges the documents of one part and returns its counts."""
    config = unit.config
    is_exhaustive = config.exhaustive or config.record_metrics
    judge = Judge(make_rules(config, unit.external), exhaustive=is_exhaustive)
    stats = _no_stats()
    with contextlib.ExitStack() as stack:
        data = stack.enter_context(files.create(f"data/{unit.name}.parquet"))
        ledger = stack.enter_context(files.create(f"ledger/{unit.name}.parquet"))
        kept = stack.enter_context(document_writer(data.open()))
        rows = stack.enter_context(ledger_writer(ledger.open()))
        metrics = None
        if is_exhaustive:
            table = stack.enter_context(files.create(f"metrics/{unit.name}.parquet"))
            metrics = stack.enter_context(MetricsWriter(table.path, judge.metrics if config.record_metrics else []))
        for document, judgement in _judgements(unit.documents.open_part(unit.part), judge):
            _count_judgement(stats, document, judgement)
            for outcome in [judgement.drop] if judgement.drop else judgement.rewrites:
                rows.append(_row(document, unit.stage, outcome))
            if judgement.drop is None:
                is_same = judgement.text is document.text
                kept.append(document if is_same else document._replace(text=judgement.text))
            if metrics is not None:
                metrics.append(document, judgement)
                table.rows = metrics.num_rows
                _count_failed(stats, judgement)
        data.rows, ledger.rows = kept.num_rows, rows.num_rows
    return stats


def _judgements(path: Path, judge: Judge) -> Iterator[tuple[Document, Judgement]]:
    for table in read_document_tables(path):
        for document, is_kept in zip(documents_of(table), judge.keeps(table["text"]), strict=True):
            yield document, Judgement(document.text, (), (), {}) if is_kept else judge(document.text, document)


def _row(document: Document, stage: str, outcome: Check | Rewrite) -> LedgerRow:
    return LedgerRow(
        id=document.id,
        source=document.source,
        stage=stage,
        reason=outcome.reason,
        value=outcome.value,
        threshold=outcome.threshold,
        evidence=outcome.evidence,
    )


def _count_judgement(stats: Stats, document: Document, judgement: Judgement) -> None:
    stats["documents_in"] += 1
    num_bytes = _utf8_bytes(document.text)
    stats["bytes_in"] += num_bytes
    if judgement.drop is not None:
        stats["documents_dropped"] += 1
        _count(stats["dropped_by_reason"], judgement.drop.reason)
        _count(stats["dropped_by_source"].setdefault(document.source, {}), judgement.drop.reason)
        return
    stats["documents_out"] += 1
    stats["documents_changed"] += bool(judgement.rewrites)
    stats["bytes_out"] += num_bytes if judgement.text is document.text else _utf8_bytes(judgement.text)
    _count(stats["documents_by_source"], document.source)
    for rewrite in judgement.rewrites:
        _count(stats["changed_by_reason"], rewrite.reason)


def _utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _count_failed(stats: Stats, judgement: Judgement) -> None:
    for label, check in judgement.failed:
        _count(stats.setdefault("failed_by_reason", {}), f"{label}.{check.reason}")


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
        "documents_by_source": {},
        "dropped_by_source": {},
    }
