"""Sequences as parquet for `datasets.load_dataset("parquet")`, one row a sequence.

| column | of each position |
|---|---|
| `input_ids` | the token; the padding id where there is none |
| `position_ids` | how many tokens of the same document stand before it in the sequence; 0 for padding |
| `document_ids` | number of its document in the sequence, from 0; -1 for padding |

The last two only where sequences are padded or documents isolated.
"""

import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain.sequences.index import SequenceIndex
from pretrain.sequences.loader import TokenSequences
from pretrain.stage import Stats, UnitFiles

# int32 in any case, as the course writes them; token ids are far below 2**31.
_COLUMNS = ("input_ids", "position_ids", "document_ids")
_SCHEMA = pa.schema([pa.field(name, pa.list_(pa.int32()), nullable=False) for name in _COLUMNS])
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
    if index.layout == "pieces":
        stops = np.cumsum([part.sequences for part in entry.parts], dtype=np.int64).tolist()
        return [(start, stop) for start, stop in itertools.pairwise([0, *stops]) if stop > start]
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
    """Unit: writes its sequences as rows of lists of int32."""
    parts = unit.packed.splits[unit.split].parts
    for path in (path for part in parts for path in part.beside(unit.packed)):
        files.scratch(path)  # to this machine, beside the shard
    paths: list[Path] = [files.scratch(part.path) for part in parts]
    sequences = TokenSequences(unit.packed, unit.split, paths)
    schema = _SCHEMA if unit.packed.needs_documents else pa.schema([_SCHEMA.field("input_ids")])
    rows_per_group = max(1, _ROW_GROUP_TOKENS // sequences.sequence_length)
    with (
        files.create(unit.path) as output,
        pq.ParquetWriter(output.path, schema, compression="zstd") as writer,
    ):
        for start in range(unit.start, unit.stop, rows_per_group):
            positions = range(start, min(start + rows_per_group, unit.stop))
            columns = [sequences.batch(positions)]
            if len(schema) > 1:
                columns += sequences.documents(positions)
            offsets = pa.array(np.arange(len(positions) + 1, dtype=np.int32) * sequences.sequence_length)
            lists = [
                pa.ListArray.from_arrays(offsets, pa.array(column.astype(np.int32).reshape(-1))) for column in columns
            ]
            writer.write_batch(pa.record_batch(lists, schema=schema))
        output.rows = unit.stop - unit.start
    return {}
