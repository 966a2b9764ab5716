"""Moving the rows of input parts: scattered by the target that they go to.

A scattered file is Arrow IPC, uncompressed, whose record batches each hold rows of one target: the reader of a target
maps its batches and touches no others.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pretrain.artifact import Artifact, PartRecord
from pretrain.documents import DOCUMENT_SCHEMA, LEDGER_SCHEMA, TableWriter, ledger_writer
from pretrain.shard.plan import Placement, ShardPlan, draws
from pretrain.shard.records import Records, find_records
from pretrain.stage import Stats, UnitFiles

SCATTER_SCHEMA = DOCUMENT_SCHEMA.append(pa.field("order", pa.uint64(), nullable=False))

# Rows held in memory before they are scattered: large enough that a batch of one of 1000 targets is 64 KiB.
_BUFFER_BYTES = 64 << 20

OTHER_SHARD = "other_shard"
NOT_DRAWN = "mixture_not_drawn"


class ScatterUnit(NamedTuple):
    """One input part whose rows go to `path`, and those of documents that are not kept to `ledger_path`, if any.

    records_name, sources, first_arrival: as `find_records` takes them.
    """

    artifact: Artifact
    part: PartRecord
    records_name: str
    sources: tuple[str, ...]
    first_arrival: int
    plan: ShardPlan
    stage: str
    path: str
    ledger_path: str | None


class _Buffer(NamedTuple):
    """Consecutive documents of a part, from `start` on."""

    table: pa.Table
    start: int


def scatter_rows(files: UnitFiles, unit: ScatterUnit) -> Stats:
    """Writes an input part's rows in batches of one target each: their `targets`, and `counts` by source."""
    records = find_records(files, unit.records_name, unit.sources, unit.first_arrival).map()
    placement = unit.plan.rules.place(records)
    targets = unit.plan.targets(placement)
    starts = np.concatenate([[0], np.cumsum(placement.copies)])
    is_kept, in_validation = unit.plan.rules.is_kept(records), unit.plan.rules.in_validation(records)
    counts = _Counts()
    batch_targets: list[int] = []
    with (
        files.create(unit.path) as output,
        contextlib.closing(output.open()) as sink,
        pa.ipc.new_file(sink, SCATTER_SCHEMA) as writer,
    ):
        for buffer in _buffers(unit):
            documents = slice(buffer.start, buffer.start + buffer.table.num_rows)
            rows = slice(int(starts[documents.start]), int(starts[documents.stop]))
            counts.add(buffer.table, placement.copies[documents], is_kept[documents], in_validation[documents])
            batch_targets += _write_batches(writer, buffer, placement, targets, rows)
    pa.default_memory_pool().release_unused()  # else the next unit's peak comes on top of what this one keeps
    if unit.ledger_path is not None:
        _write_ledger(files, unit, records, placement)
    return {"counts": counts.by_name, "targets": batch_targets}


class _Counts:
    """What an input part gives, by source."""

    def __init__(self) -> None:
        self.by_name: Stats = {"bytes_in": 0}

    def add(
        self,
        table: pa.Table,
        copies: NDArray[np.int64],
        is_kept: NDArray[np.bool_],
        in_validation: NDArray[np.bool_],
    ) -> None:
        """Counts documents: how many rows each has, and whether it is in the shard that is kept and in validation."""
        names = pc.dictionary_encode(table["source"]).combine_chunks()
        numbers, sizes = names.indices.to_numpy(), pc.binary_length(table["text"]).to_numpy()
        is_train = is_kept & ~in_validation
        values = {
            "documents_in": np.ones(len(sizes)),
            "train_documents": is_train,
            "train_bytes": is_train * sizes,
            "repeats": np.maximum(copies - 1, 0),
            OTHER_SHARD: ~is_kept,
            NOT_DRAWN: is_kept & (copies == 0),
            "documents_out": copies,
            "train_documents_out": is_train * copies,
            "train_bytes_out": is_train * copies * sizes,
        }
        self.by_name["bytes_in"] += int(sizes.sum())
        for name, of_documents in values.items():
            sums = np.bincount(numbers, weights=of_documents, minlength=len(names.dictionary))
            by_source = self.by_name.setdefault(name, {})
            for source, value in zip(names.dictionary.to_pylist(), sums.tolist(), strict=True):
                by_source[source] = by_source.get(source, 0) + int(value)


def _buffers(unit: ScatterUnit) -> Iterator[_Buffer]:
    pending: list[pa.Table] = []
    start = num_bytes = 0
    with pq.ParquetFile(unit.artifact.open_part(unit.part)) as file:
        for index in range(file.num_row_groups):
            pending.append(file.read_row_group(index, columns=DOCUMENT_SCHEMA.names))
            num_bytes += pending[-1].nbytes
            if num_bytes >= _BUFFER_BYTES or index == file.num_row_groups - 1:
                table = pa.concat_tables(pending).cast(DOCUMENT_SCHEMA)
                pending, num_bytes = [], 0
                yield _Buffer(table, start)
                start += table.num_rows


def _write_batches(
    writer: pa.ipc.RecordBatchFileWriter,
    buffer: _Buffer,
    placement: Placement,
    targets: NDArray[np.int64],
    rows: slice,
) -> list[int]:
    by_target = np.argsort(targets[rows], kind="stable") + rows.start
    present, starts, counts = np.unique(targets[by_target], return_index=True, return_counts=True)
    table = buffer.table.combine_chunks()
    written: list[int] = []
    for target, start, count in zip(present, starts, counts, strict=True):
        chosen = by_target[start : start + count]
        # One batch at a time, so that no second copy of the whole buffer is made.
        batches = table.take(pa.array(placement.rows[chosen] - buffer.start))
        keyed = batches.append_column(SCATTER_SCHEMA.field("order"), pa.array(placement.keys[chosen]))
        for batch in keyed.combine_chunks().to_batches():
            writer.write_batch(batch)
            written.append(int(target))
    return written


def _write_ledger(files: UnitFiles, unit: ScatterUnit, records: Records, placement: Placement) -> None:
    is_kept = unit.plan.rules.is_kept(records)
    asked = np.ones(len(is_kept))
    if records.traits is not None:
        asked = unit.plan.rules.epochs_of(records, records.traits)
    drawn = 1 - draws(records)
    start = 0
    with files.create(str(unit.ledger_path)) as output, ledger_writer(output.open()) as writer:
        with pq.ParquetFile(unit.artifact.open_part(unit.part)) as file:
            for index in range(file.num_row_groups):
                group = file.read_row_group(index, columns=["id", "source"])
                rows = slice(start, start + group.num_rows)
                is_dropped = placement.copies[rows] == 0
                _append(
                    writer,
                    unit.stage,
                    group.filter(is_dropped),
                    is_kept[rows][is_dropped],
                    drawn[rows][is_dropped],
                    asked[rows][is_dropped],
                )
                start = rows.stop
        output.rows = writer.num_rows


def _append(
    writer: TableWriter, stage: str, dropped: pa.Table, is_kept: NDArray[Any], drawn: NDArray[Any], asked: NDArray[Any]
) -> None:
    """Adds rows of dropped documents: those in the shard that is kept were not drawn."""
    reasons = np.where(is_kept, NOT_DRAWN, OTHER_SHARD).tolist()
    columns = {
        "id": dropped["id"],
        "source": dropped["source"],
        "stage": pa.array([stage] * len(reasons), pa.string()),
        "reason": pa.array(reasons, pa.string()),
        "value": pa.array(drawn, pa.float64(), mask=~is_kept),
        "threshold": pa.array(asked, pa.float64(), mask=~is_kept),
        "evidence": pa.nulls(len(reasons), pa.string()),
    }
    writer.append_table(pa.table(columns, LEDGER_SCHEMA).combine_chunks())
