"""Writes what stays of one part, and a ledger row for every document that goes."""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pretrain.artifact import Artifact, PartRecord
from pretrain.dedup.decision import DECISIONS
from pretrain.dedup.signatures import Corpus, Int64Array
from pretrain.documents import DOCUMENT_SCHEMA, LedgerRow, document_writer, ledger_writer
from pretrain.stage import Stats, UnitFiles, part_name


class RemovalUnit(NamedTuple):
    """One input part."""

    artifact: Artifact
    part: PartRecord
    part_index: int
    corpus: Corpus


def remove_duplicates(files: UnitFiles, unit: RemovalUnit) -> Stats:
    """Writes `data/` and `ledger/` of one part, in the order of the input."""
    removed, rows = _read_decisions(files, unit)
    name = part_name(unit.part_index)
    start, bytes_out = 0, 0
    kept_by_source: Counter[str] = Counter()
    dropped_by_source: dict[str, Counter[str]] = {}
    with (
        pq.ParquetFile(unit.artifact.open_part(unit.part)) as documents,
        files.create(f"data/{name}.parquet") as data,
        document_writer(data.path) as kept,
        files.create(f"ledger/{name}.parquet") as ledger,
        ledger_writer(ledger.path) as dropped,
    ):
        for index in range(documents.num_row_groups):
            table = documents.read_row_group(index, columns=DOCUMENT_SCHEMA.names)
            first, last = np.searchsorted(removed, [start, start + table.num_rows])
            for row in _ledger_rows(table, removed[first:last] - start, rows[first:last]):
                dropped.append(row)
                dropped_by_source.setdefault(row.source, Counter())[row.reason] += 1
            stays = np.ones(table.num_rows, np.bool_)
            stays[removed[first:last] - start] = False
            table_kept = table.filter(pa.array(stays))
            kept.append_table(table_kept)
            kept_by_source.update(table_kept["source"].to_pylist())
            bytes_out += pc.sum(pc.binary_length(table_kept["text"])).as_py() or 0
            start += table.num_rows
        data.rows, ledger.rows = kept.num_rows, dropped.num_rows
    return {
        "documents_out": data.rows,
        "documents_dropped": ledger.rows,
        "bytes_out": bytes_out,
        "dropped_by_reason": dict(sorted(Counter(row["reason"] for row in rows).items())),
        "documents_by_source": dict(kept_by_source),
        "dropped_by_source": {source: dict(reasons) for source, reasons in dropped_by_source.items()},
    }


def _read_decisions(files: UnitFiles, unit: RemovalUnit) -> tuple[Int64Array, list[dict[str, Any]]]:
    start, stop = (int(index) for index in unit.corpus.starts[unit.part_index : unit.part_index + 2])
    chosen = [("index", ">=", start), ("index", "<", stop)]
    table = pq.read_table(files.scratch(DECISIONS), filters=chosen)
    return table["index"].to_numpy() - start, table.drop_columns("index").to_pylist()


def _ledger_rows(table: pa.Table, rows: Int64Array, decisions: list[dict[str, Any]]) -> list[LedgerRow]:
    gone = table.select(["id", "source"]).take(pa.array(rows, pa.int64())).to_pylist()
    return [
        LedgerRow(stage="dedup", **document, **decision) for document, decision in zip(gone, decisions, strict=True)
    ]
