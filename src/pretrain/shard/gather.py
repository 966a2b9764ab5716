"""Writing one part: its rows from all scattered files, sorted by order key."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pretrain.documents import ROW_GROUP_DOCUMENTS, ROW_GROUP_TEXT_BYTES, document_writer
from pretrain.shard.scatter import SCATTER_SCHEMA
from pretrain.stage import Stats, UnitFiles


class GatherUnit(NamedTuple):
    """One output part: the batches of its rows as (scattered file, indices of batches), and where it goes."""

    split: str
    sources: list[tuple[str, list[int]]]
    path: str


def gather_part(files: UnitFiles, unit: GatherUnit) -> Stats:
    """Writes a part in order of key; the bytes do not depend on how the rows were scattered."""
    table = _read_batches(files, unit)
    # Equal keys (a repeated id, or one chance in 2**64 a pair) are settled by id.
    order = pc.sort_indices(table, sort_keys=[("order", "ascending"), ("id", "ascending")])
    table = table.drop_columns(["order"])
    sizes = pc.binary_length(table["text"]).to_numpy()[order.to_numpy()]
    with files.create(unit.path) as output, document_writer(output.path) as writer:
        for start, stop in row_groups(sizes):
            # One chunk for each column: the pages of a parquet file follow the chunks.
            writer.append_table(table.take(order.slice(start, stop - start)).combine_chunks())
        output.rows = writer.num_rows
    total = int(sizes.sum())
    return {
        "documents_out": len(sizes),
        "bytes_out": total,
        "documents_by_split": {unit.split: len(sizes)},
        "bytes_by_split": {unit.split: total},
    }


def row_groups(sizes: np.ndarray) -> list[tuple[int, int]]:
    """Consecutive [start, stop) of rows, up to `ROW_GROUP_TEXT_BYTES` and `ROW_GROUP_DOCUMENTS` each.

    Args:
        sizes: bytes of text of each row; a larger row has a group of its own.
    """
    ends = np.cumsum(sizes)
    groups = []
    start = 0
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        fitting = int(np.searchsorted(ends, before + ROW_GROUP_TEXT_BYTES, side="right"))
        stop = min(max(fitting, start + 1), start + ROW_GROUP_DOCUMENTS)
        groups.append((start, stop))
        start = stop
    return groups


def _read_batches(files: UnitFiles, unit: GatherUnit) -> pa.Table:
    batches = []
    for path, indices in unit.sources:
        reader = pa.ipc.open_file(pa.memory_map(str(files.scratch(path))))
        batches += [reader.get_batch(index) for index in indices]
    # `take` on many chunks would join them anew for every row group.
    return pa.Table.from_batches(batches, schema=SCATTER_SCHEMA).combine_chunks()
