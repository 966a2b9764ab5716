"""Reading input parts: their hashes first, then their rows, scattered by the part that they go to.

A scattered file is Arrow IPC, uncompressed, whose record batches each hold rows of one target part: the
reader of a target maps its batches and touches no others.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pretrain.artifact import Artifact, PartRecord
from pretrain.documents import DOCUMENT_SCHEMA
from pretrain.shard.clusters import split_ids
from pretrain.shard.plan import Keys, ShardPlan, document_hashes, targets_of
from pretrain.stage import Stats, UnitFiles

SCATTER_SCHEMA = DOCUMENT_SCHEMA.append(pa.field("order", pa.uint64(), nullable=False))

# Rows held in memory before they are scattered: large enough that a batch of one of 1000 targets is 64 KiB.
_BUFFER_BYTES = 64 << 20


class HashUnit(NamedTuple):
    """One input part whose documents' hashes go to `path`.

    has_companions: whether some documents go to the side of another one, see `pretrain.shard.clusters`.
    """

    artifact: Artifact
    part: PartRecord
    seed: int
    has_companions: bool
    path: str


class ScatterUnit(NamedTuple):
    """One input part whose rows go to `path`.

    `arrivals` counts the documents of (train, validation) in the parts before this one; None when shuffled.
    """

    artifact: Artifact
    part: PartRecord
    hashes_path: str
    plan: ShardPlan
    arrivals: tuple[int, int] | None
    path: str


def write_hashes(files: UnitFiles, unit: HashUnit) -> Stats:
    """Writes the (split, order) hashes of an input part's documents in order of arrival."""
    ids = pq.read_table(unit.artifact.open_part(unit.part), columns=["id"])["id"].to_pylist()
    hashes = document_hashes(ids, unit.seed)
    if unit.has_companions:
        hashes[:, 0] = document_hashes(split_ids(files, ids), unit.seed)[:, 0]
    with files.create(unit.path) as output, output.path.open("wb") as file:
        np.save(file, hashes)
    return {"documents_in": len(ids)}


def scatter_rows(files: UnitFiles, unit: ScatterUnit) -> Stats:
    """Writes an input part's rows in batches of one target each; `targets` names each batch's target."""
    hashes = np.load(files.scratch(unit.hashes_path), allow_pickle=False)
    in_validation = hashes[:, 0] < unit.plan.threshold
    order = hashes[:, 1] if unit.arrivals is None else _arrival_order(in_validation, unit.arrivals)
    targets = targets_of(unit.plan, in_validation, order)
    batch_targets: list[int] = []
    bytes_in = start = 0
    with files.create(unit.path) as output, pa.ipc.new_file(str(output.path), SCATTER_SCHEMA) as writer:
        for table in _buffers(unit):
            rows = slice(start, start + table.num_rows)
            bytes_in += pc.sum(pc.binary_length(table["text"])).as_py() or 0
            keyed = table.append_column(SCATTER_SCHEMA.field("order"), pa.array(order[rows]))
            batch_targets += _write_batches(writer, keyed, targets[rows])
            start = rows.stop
    return {"bytes_in": bytes_in, "targets": batch_targets}


def _arrival_order(in_validation: np.ndarray, arrivals: tuple[int, int]) -> Keys:
    train, validation = arrivals
    order = np.where(in_validation, validation + np.cumsum(in_validation), train + np.cumsum(~in_validation))
    return (order - 1).astype(np.uint64)


def _buffers(unit: ScatterUnit) -> Iterator[pa.Table]:
    pending: list[pa.Table] = []
    with pq.ParquetFile(unit.artifact.open_part(unit.part)) as file:
        for index in range(file.num_row_groups):
            pending.append(file.read_row_group(index, columns=DOCUMENT_SCHEMA.names))
            if sum(table.nbytes for table in pending) >= _BUFFER_BYTES:
                yield pa.concat_tables(pending).cast(DOCUMENT_SCHEMA)
                pending = []
    if pending:
        yield pa.concat_tables(pending).cast(DOCUMENT_SCHEMA)


def _write_batches(writer: pa.ipc.RecordBatchFileWriter, table: pa.Table, targets: np.ndarray) -> list[int]:
    by_target = np.argsort(targets, kind="stable")
    ordered = table.combine_chunks().take(pa.array(by_target)).combine_chunks()
    present, starts = np.unique(targets[by_target], return_index=True)
    ends = [*starts[1:], len(targets)]
    written: list[int] = []
    for target, start, end in zip(present, starts, ends, strict=True):
        for batch in ordered.slice(start, end - start).to_batches():
            writer.write_batch(batch)
            written.append(int(target))
    return written
