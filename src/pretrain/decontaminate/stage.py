"""The stage `decontaminate`: one unit builds the index of evaluation items, then one unit a part searches.

    scratch/index-*                     n-grams of all items, memory-mapped by the workers
    data/part-NNNNN.parquet             the documents that stay
    ledger/part-NNNNN.parquet           a row for every contaminated document
    contamination/part-NNNNN.parquet    a row for every item found in a document
    items/part-00000.parquet            a row for every item found

Ledger: value is the share of the document's words that lie in spans of items, threshold is
`min_document_fraction`, evidence is `<task>/<item>: <span>` of the longest span. Reasons: `contaminated` (dropped),
`contaminated_spans_cut` (changed), `contaminated_too_short` and `contaminated_too_many_pieces` (dropped, for what the
cuts leave), `contaminated_reported` (neither). A document below `min_document_fraction` is in the contamination
table alone.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain.artifact import Artifact, PartRecord
from pretrain.decontaminate.config import DecontaminateConfig
from pretrain.decontaminate.cutting import cut_spans
from pretrain.decontaminate.index import IndexUnit, PassageIndex, build_index, open_index
from pretrain.decontaminate.kernels import Bytes, Int64Array
from pretrain.decontaminate.matching import Contamination, find_contamination
from pretrain.decontaminate.tables import ItemsUnit, contamination_file, count_items, shown_span, write_rows
from pretrain.documents import DOCUMENT_SCHEMA, LedgerRow, document_writer, ledger_writer
from pretrain.stage import StageContext, Stats, UnitFiles, part_name, sum_stats

_EVIDENCE_CHARS = 120


class DecontaminatePart(NamedTuple):
    """One unit: a part of the upstream artifact."""

    name: str
    stage: str
    documents: Artifact
    part: PartRecord
    config: DecontaminateConfig


class _Verdict(NamedTuple):
    """What becomes of one contaminated document: its text, None when it is dropped, and why."""

    action: str
    text: str | None
    reason: str | None = None


def build(context: StageContext[DecontaminateConfig]) -> Stats:
    """Looks for the evaluation items in every document of the input `documents`.

    Returns:
        documents_in, documents_out, documents_dropped, documents_changed, documents_contaminated (that hold an
        item, whatever became of them), bytes_in and bytes_out (of UTF-8 text), dropped_by_reason,
        changed_by_reason, documents_by_source (kept), dropped_by_source, by reason; and by task: items_by_task,
        passages_by_task (looked for), passages_too_short_by_task, items_hit_by_task, documents_hit_by_task.

    Raises:
        InputError: an evaluation file cannot be read, or gives nothing to look for.
    """
    config, documents = context.config, context.inputs["documents"]
    indexed = context.run_units([("index", IndexUnit(config, context.external))], build_index, label="indexes")
    names = [part_name(index) for index, _ in enumerate(documents.parts())]
    units = [
        (name, DecontaminatePart(name, context.stage, documents, part, config))
        for name, part in zip(names, documents.parts(), strict=True)
    ]
    searched = context.run_units(units, decontaminate_part)
    unit = ItemsUnit(tuple(task.name for task in config.task_files), tuple(names))
    counted = context.run_units([("items", unit)], count_items, label="tables")
    return _no_stats(config) | sum_stats([*indexed, *counted]) | sum_stats(searched)


def decontaminate_part(files: UnitFiles, unit: DecontaminatePart) -> Stats:
    """Searches the documents of one part and returns its counts."""
    index = open_index(files)
    stats = _no_stats(unit.config)
    hits: list[dict[str, Any]] = []
    with (
        files.create(f"data/{unit.name}.parquet") as data,
        files.create(f"ledger/{unit.name}.parquet") as ledger,
        document_writer(data.open()) as kept,
        ledger_writer(ledger.open()) as rows,
        pq.ParquetFile(unit.documents.open_part(unit.part)) as part,
    ):
        for group in range(part.num_row_groups):
            table = part.read_row_group(group, columns=DOCUMENT_SCHEMA.names).combine_chunks()
            judged = _judge_table(table, index, unit, stats)
            for row in judged.ledger:
                rows.append(row)
            hits += judged.hits
            kept.append_table(judged.kept)
        data.rows, ledger.rows = kept.num_rows, rows.num_rows
    with files.create(contamination_file(unit.name)) as output:
        write_rows(output.path, hits)
        output.rows = len(hits)
    return stats


class _JudgedTable(NamedTuple):
    kept: pa.Table
    ledger: list[LedgerRow]
    hits: list[dict[str, Any]]


def _judge_table(table: pa.Table, index: PassageIndex, unit: DecontaminatePart, stats: Stats) -> _JudgedTable:
    data, offsets = _utf8(table["text"])
    changed: dict[int, str | None] = {}
    ledger: list[LedgerRow] = []
    hits: list[dict[str, Any]] = []
    for found in find_contamination(data, offsets, index, unit.config.min_item_fraction):
        document = data[offsets[found.text] : offsets[found.text + 1]]
        [identity] = table.select(["id", "source"]).slice(found.text, 1).to_pylist()
        verdict = _decide(document, found, unit.config, index)
        if verdict.reason is not None:
            row = _ledger_row(identity, document, found, verdict.reason, unit)
            ledger.append(row)
        if verdict.action != "kept":
            changed[found.text] = verdict.text
        hits += [
            {
                **identity,
                "task": hit.task,
                "item": hit.item,
                "action": verdict.action,
                "num_words": hit.num_words,
                "item_fraction": hit.fraction,
                "document_fraction": found.fraction,
                "span": shown_span(_text(document, hit.start, hit.end)),
            }
            for hit in found.hits
        ]
        _count_contamination(stats, found, verdict, identity["source"])
    kept = _with_texts(table, changed)
    _count_tables(stats, table, kept)
    return _JudgedTable(kept, ledger, hits)


def _decide(document: Bytes, found: Contamination, config: DecontaminateConfig, index: PassageIndex) -> _Verdict:
    if found.fraction < config.min_document_fraction:
        return _Verdict("kept", None)
    if config.action == "report":
        return _Verdict("kept", None, "contaminated_reported")
    if config.action == "drop":
        return _Verdict("dropped", None, "contaminated")
    cut = cut_spans(document, found.spans, config.cut, index.ngrams.fold)
    if not cut.pieces:
        return _Verdict("dropped", None, "contaminated_too_short")
    if config.cut.max_pieces is not None and len(cut.pieces) > config.cut.max_pieces:
        return _Verdict("dropped", None, "contaminated_too_many_pieces")
    return _Verdict("cut", cut.text, "contaminated_spans_cut")


def _ledger_row(
    identity: dict[str, Any], document: Bytes, found: Contamination, reason: str, unit: DecontaminatePart
) -> LedgerRow:
    hit = max(found.hits, key=lambda hit: hit.num_words)
    span = " ".join(_text(document, hit.start, hit.end).split())
    shown = span if len(span) <= _EVIDENCE_CHARS else span[: _EVIDENCE_CHARS - 1] + "…"
    return LedgerRow(
        id=identity["id"],
        source=identity["source"],
        stage=unit.stage,
        reason=reason,
        value=found.fraction,
        threshold=unit.config.min_document_fraction,
        evidence=f"{hit.task}/{hit.item}: {shown}",
    )


def _utf8(column: pa.ChunkedArray) -> tuple[Bytes, Int64Array]:
    """The bytes of a column of large strings without nulls, and where each begins and the last ends."""
    [chunk] = column.chunks
    _, offsets, data = chunk.buffers()
    starts = np.frombuffer(offsets, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
    return np.frombuffer(data or b"", np.uint8), starts


def _text(document: Bytes, start: int, end: int) -> str:
    return document[start:end].tobytes().decode()


def _with_texts(table: pa.Table, changed: dict[int, str | None]) -> pa.Table:
    """The table with other texts in some rows, and without the rows whose text is None."""
    if not changed:
        return table
    texts = table["text"].to_pylist()
    for row, text in changed.items():
        texts[row] = text
    column = table.schema.get_field_index("text")
    replaced = pa.array(texts, pa.large_string())
    return table.set_column(column, DOCUMENT_SCHEMA.field("text"), replaced).filter(replaced.is_valid())


def _count_contamination(stats: Stats, found: Contamination, verdict: _Verdict, source: str) -> None:
    stats["documents_contaminated"] += 1
    for task in {hit.task for hit in found.hits}:
        stats["documents_hit_by_task"][task] += 1
    if verdict.action == "dropped":
        _add(stats["dropped_by_reason"], str(verdict.reason), 1)
        _add(stats["dropped_by_source"].setdefault(source, {}), str(verdict.reason), 1)
    elif verdict.action == "cut":
        stats["documents_changed"] += 1
        _add(stats["changed_by_reason"], str(verdict.reason), 1)


def _count_tables(stats: Stats, table: pa.Table, kept: pa.Table) -> None:
    stats["documents_in"] += table.num_rows
    stats["documents_out"] += kept.num_rows
    stats["documents_dropped"] += table.num_rows - kept.num_rows
    stats["bytes_in"] += _num_bytes(table)
    stats["bytes_out"] += _num_bytes(kept)
    for pair in kept["source"].value_counts().to_pylist():
        _add(stats["documents_by_source"], pair["values"], pair["counts"])


def _num_bytes(table: pa.Table) -> int:
    return int(sum(np.diff(_utf8(pa.chunked_array([chunk]))[1]).sum() for chunk in table["text"].chunks))


def _add(counts: dict[str, int], name: str, number: int) -> None:
    counts[name] = counts.get(name, 0) + number


def _no_stats(config: DecontaminateConfig) -> Stats:
    numbers = ("in", "out", "dropped", "changed", "contaminated")
    return {
        **{f"documents_{name}": 0 for name in numbers},
        "bytes_in": 0,
        "bytes_out": 0,
        "dropped_by_reason": {},
        "changed_by_reason": {},
        "documents_by_source": {},
        "dropped_by_source": {},
        "documents_hit_by_task": {task.name: 0 for task in config.task_files},
    }
