"""Sequences as parquet for `datasets.load_dataset("parquet")`: one row a sequence, column `input_ids`."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain.sequences.index import SequenceIndex
from pretrain.sequences.loader import TokenSequences
from pretrain.stage import Stats, UnitFiles

# int32 in any case, as the course writes them; token ids are far below 2**31.
EXPORT_SCHEMA = pa.schema([pa.field("input_ids", pa.list_(pa.int32()), nullable=False)])
_ROW_GROUP_TOKENS = 1 << 20


class ExportUnit(NamedTuple):
    """Sequences [start, stop) of a split and where they go."""

    packed: SequenceIndex
    split: str
    start: int
    stop: int
    path: str


def export_ranges(index: SequenceIndex, split: str) -> list[tuple[int, int]]:
    """The sequences [start, stop) that begin in each token shard, shards in which none begins left out."""
    length, entry = index.sequence_length, index.splits[split]
    ranges = []
    first_token = start = 0
    for part in entry.parts:
        first_token += part.tokens
        stop = min(-(-first_token // length), entry.sequences)
        if stop > start:
            ranges.append((start, stop))
        start = stop
    return ranges


def export_part(files: UnitFiles, unit: ExportUnit) -> Stats:
    """Unit: writes its sequences as rows of `input_ids`, list<int32>."""
    paths: list[Path] = [files.scratch(part.path) for part in unit.packed.splits[unit.split].parts]
    sequences = TokenSequences(unit.packed, unit.split, paths)
    rows_per_group = max(1, _ROW_GROUP_TOKENS // sequences.sequence_length)
    with (
        files.create(unit.path) as output,
        pq.ParquetWriter(output.path, EXPORT_SCHEMA, compression="zstd") as writer,
    ):
        for start in range(unit.start, unit.stop, rows_per_group):
            rows = sequences.batch(range(start, min(start + rows_per_group, unit.stop))).astype(np.int32)
            offsets = np.arange(len(rows) + 1, dtype=np.int32) * sequences.sequence_length
            lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows.reshape(-1)))
            writer.write_batch(pa.record_batch([lists], schema=EXPORT_SCHEMA))
        output.rows = unit.stop - unit.start
    return {}
