"""Writes what stays of one part, cut of its repeated segments, and a ledger row for every document that changed."""

from collections import Counter
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pretrain.dedup.corpus import CorpusPart
from pretrain.dedup.decision import DECISION_COLUMNS, NEAR, REASONS
from pretrain.dedup.keeper import id_texts
from pretrain.dedup.repeats import Edits
from pretrain.dedup.segments import cut_segments
from pretrain.dedup.shuffle import Slice, read_slices
from pretrain.dedup.spans import Spans, cut_spans
from pretrain.documents import DOCUMENT_SCHEMA, LedgerRow, document_writer, ledger_writer
from pretrain.stage import Stats, UnitFiles, part_name

NO_TEXT = "no_text_left"
_EVIDENCE_CHARS = 200

# Reason, value, threshold and evidence of a ledger row.
_Change = tuple[str, float, float, str]


class RemovalUnit(NamedTuple):
    """One new part, the decisions about its group of parts, and what is cut from its texts: `edits`, then `spans`."""

    part: CorpusPart
    decisions: tuple[Slice, ...]
    edits: Edits | None
    spans: Spans | None
    near_threshold: float


def remove_duplicates(files: UnitFiles, unit: RemovalUnit) -> Stats:
    """Writes `data/` and `ledger/` of one part, in the order of the input."""
    outcome = _Outcome(unit, files)
    name = part_name(unit.part.number)
    with (
        pq.ParquetFile(unit.part.artifact.open_part(unit.part.part)) as documents,
        files.create(f"data/{name}.parquet") as data,
        document_writer(data.open()) as kept,
        files.create(f"ledger/{name}.parquet") as ledger,
        ledger_writer(ledger.open()) as written,
    ):
        for index in range(documents.num_row_groups):
            table = documents.read_row_group(index, columns=DOCUMENT_SCHEMA.names)
            table_kept, rows = outcome.apply(table)
            kept.append_table(table_kept)
            for row in rows:
                written.append(row)
        data.rows, ledger.rows = kept.num_rows, written.num_rows
    return outcome.stats()


class _Outcome:
    """What becomes of the documents of a part, row group after row group, and its counts."""

    def __init__(self, unit: RemovalUnit, files: UnitFiles) -> None:
        self._edits, self._min_bytes = unit.edits, unit.spans.min_bytes if unit.spans is not None else 0
        self._index = unit.part.start
        self._removed = _read_decisions(files, unit)
        self._digests = unit.edits.read(files, unit.part.start, unit.part.stop) if unit.edits is not None else {}
        self._spans = unit.spans.read(files) if unit.spans is not None else {}
        self._num_changed = 0
        self._bytes_out = 0
        self._kept_by_source: Counter[str] = Counter()
        self._dropped_by_source: dict[str, Counter[str]] = {}
        self._changed: Counter[str] = Counter()

    def apply(self, table: pa.Table) -> tuple[pa.Table, list[LedgerRow]]:
        """The next documents as far as they stay, and the ledger rows of those that do not stay as they were."""
        rows: list[LedgerRow] = []
        stays = np.ones(table.num_rows, np.bool_)
        texts: dict[int, str] = {}
        for row in range(table.num_rows):
            index = self._index + row
            changes: list[_Change] = []
            if index in self._removed:
                changes, stays[row] = [self._removed[index]], False
            elif index in self._digests or index in self._spans:
                texts[row], changes = self._edit(index, table["text"][row].as_py())
                stays[row] = bool(texts[row])
                self._num_changed += int(stays[row])
            for change in changes:
                rows.append(LedgerRow(table["id"][row].as_py(), table["source"][row].as_py(), "dedup", *change))
        self._index += table.num_rows
        if texts:
            cut = pa.array([texts.get(row) for row in range(table.num_rows)], pa.large_string())
            column = pc.coalesce(cut, table["text"].combine_chunks())
            table = table.set_column(table.schema.get_field_index("text"), DOCUMENT_SCHEMA.field("text"), column)
        kept = table.filter(pa.array(stays))
        self._count(kept, rows)
        return kept, rows

    def stats(self) -> Stats:
        """The counts of the unit."""
        by_reason: Counter[str] = sum(self._dropped_by_source.values(), Counter())
        return {
            "documents_out": self._kept_by_source.total(),
            "documents_dropped": by_reason.total(),
            "bytes_out": self._bytes_out,
            "dropped_by_reason": dict(sorted(by_reason.items())),
            "documents_by_source": dict(self._kept_by_source),
            "dropped_by_source": {source: dict(reasons) for source, reasons in self._dropped_by_source.items()},
            "documents_changed": self._num_changed,
            "changed_by_reason": dict(self._changed),
        }

    def _edit(self, index: int, text: str) -> tuple[str, list[_Change]]:
        """The text without what is cut from it, and the changes: one a step, or one if nothing stays."""
        changes: list[_Change] = []
        if index in self._digests:
            edits = cast("Edits", self._edits)
            text, removed = cut_segments(text, edits.config, self._digests[index])
            evidence = removed[0][:_EVIDENCE_CHARS]
            limit = float(edits.config.max_documents)
            changes.append((f"repeated_{edits.config.unit}", float(len(removed)), limit, evidence))
        if index in self._spans:
            text, num_bytes, keeper = cut_spans(text, self._spans[index])
            changes.append(("repeated_substring", float(num_bytes), float(self._min_bytes), keeper))
        if text.strip():
            return text, changes
        return "", [(NO_TEXT, *changes[-1][1:])]

    def _count(self, kept: pa.Table, rows: list[LedgerRow]) -> None:
        self._kept_by_source.update(kept["source"].to_pylist())
        self._bytes_out += pc.sum(pc.binary_length(kept["text"])).as_py() or 0
        for row in rows:
            if row.reason in (*REASONS, NO_TEXT):
                self._dropped_by_source.setdefault(row.source, Counter())[row.reason] += 1
            else:
                self._changed[row.reason] += 1


def _read_decisions(files: UnitFiles, unit: RemovalUnit) -> dict[int, _Change]:
    rows = read_slices(files, unit.decisions, DECISION_COLUMNS)
    rows = rows[(rows[:, 0] >= unit.part.start) & (rows[:, 0] < unit.part.stop)]
    values = rows[:, 3].copy().view(np.float64).tolist()
    thresholds = np.where(rows[:, 4] == NEAR, unit.near_threshold, 1.0).tolist()
    reasons = [REASONS[code] for code in rows[:, 4].tolist()]
    changes = zip(reasons, values, thresholds, id_texts(rows[:, 1:3]), strict=True)
    return dict(zip(rows[:, 0].tolist(), changes, strict=True))
