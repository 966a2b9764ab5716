"""Writing one part: its rows from all scattered files, sorted by order key, one slice of it in memory at a time."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pretrain.documents import ROW_GROUP_DOCUMENTS, ROW_GROUP_TEXT_BYTES, TableWriter, document_writer
from pretrain.shard.records import Keys
from pretrain.shard.scatter import SCATTER_SCHEMA
from pretrain.stage import Stats, UnitFiles

# Of a slice, all columns. The sizes of slices are planned by the mean of the corpus.
SLICE_BYTES = 64 << 20

Sources = list[tuple[str, list[int]]]


class GatherUnit(NamedTuple):
    """One output part: the batches of each of its slices as (scattered file, indices of batches), and where it goes."""

    split: str
    slices: list[Sources]
    path: str


def gather_part(files: UnitFiles, unit: GatherUnit) -> Stats:
    """Writes a part in order of key; the bytes do not depend on how the rows were scattered or sliced."""
    num_bytes = 0
    pending = SCATTER_SCHEMA.empty_table()
    with files.create(unit.path) as output, document_writer(output.open()) as writer:
        for sources in unit.slices:
            for rows in _read_slice(files, sources):
                num_bytes += pc.sum(pc.binary_length(rows["text"])).as_py() or 0
                pending = _write_row_groups(writer, pa.concat_tables([pending, rows]))
        _append(writer, pending)
        output.rows = writer.num_rows
    del pending
    pa.default_memory_pool().release_unused()  # else the next unit's peak comes on top of what this one keeps
    return {
        "documents_out": output.rows,
        "bytes_out": num_bytes,
        "documents_by_split": {unit.split: output.rows},
        "bytes_by_split": {unit.split: num_bytes},
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


def _write_row_groups(writer: TableWriter, table: pa.Table) -> pa.Table:
    """Writes the rows in order but those of the last row group, which rows to come may fill; returns these."""
    # `take` on many chunks would join them anew for every row group.
    table = table.combine_chunks()
    # Equal keys (a repeated id, or one chance in 2**64 a pair) are settled by id.
    order = pc.sort_indices(table, sort_keys=[("order", "ascending"), ("id", "ascending")])
    groups = row_groups(pc.binary_length(table["text"]).to_numpy()[order.to_numpy()])
    for start, stop in groups[:-1]:
        _append(writer, table.take(order.slice(start, stop - start)))
    return table.take(order.slice(groups[-1][0])) if groups else table


def _append(writer: TableWriter, rows: pa.Table) -> None:
    # One chunk for each column: the pages of a parquet file follow the chunks.
    writer.append_table(rows.drop_columns(["order"]).combine_chunks())


def _read_slice(files: UnitFiles, sources: Sources) -> Iterator[pa.Table]:
    """The rows of a slice, in tables of ascending keys; more than one if the slice is far larger than was planned."""
    batches = []
    for path, indices in sources:
        reader = pa.ipc.open_file(pa.memory_map(str(files.scratch(path))))
        batches += [reader.get_batch(index) for index in indices]
    table = pa.Table.from_batches(batches, SCATTER_SCHEMA)
    if table.nbytes <= 2 * SLICE_BYTES:
        yield table
        return
    keys = table["order"].to_numpy()
    for first, last in _key_ranges(keys, pc.binary_length(table["text"]).to_numpy(), table.nbytes):
        yield table.filter((keys >= first) & (keys <= last))


def _key_ranges(keys: Keys, text_bytes: NDArray[np.int64], num_bytes: int) -> Iterator[tuple[np.uint64, np.uint64]]:
    """Ranges (first, last) of keys, ascending, whose rows take `SLICE_BYTES` each, or are one key."""
    order = np.argsort(keys, kind="stable")
    others = (num_bytes - int(text_bytes.sum())) / len(keys)
    numbers = np.cumsum(text_bytes[order] + others) // SLICE_BYTES
    sorted_keys = keys[order]
    begins = np.unique(sorted_keys[np.flatnonzero(np.diff(numbers, prepend=-1.0))])
    starts = np.searchsorted(sorted_keys, begins)
    for start, stop in itertools.pairwise([*starts, len(keys)]):
        yield sorted_keys[start], sorted_keys[stop - 1]
