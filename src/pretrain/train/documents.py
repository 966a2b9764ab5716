"""Which documents a training sequence holds, for messages about a step that was refused or whose loss leapt."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain.sequences import TokenSequences


def documents_of(sequences: TokenSequences, position: int, folder: Path) -> list[str]:
    """Ids of the documents of which a sequence has tokens, in order.

    Args:
        sequences: of one split.
        position: of the sequence.
        folder: of the pack artifact. Where the lists of documents are not in it, as those of a remote store that no one
            read yet, or cannot be read, there is no id: training does not need them.
    """
    found: list[str] = []
    parts = sequences.index.splits[sequences.split].parts
    shards = list(zip(parts, sequences.stream.starts, sequences.stream.starts[1:], strict=False))
    for start, stop in _spans(sequences, position):
        for part, first, end in shards:
            path = folder / part.documents_path
            if start < end and first < stop and path.is_file():
                with contextlib.suppress(OSError, KeyError, pa.ArrowException):
                    found += _ids(path, max(start, first) - first, min(stop, end) - first)
    return list(dict.fromkeys(found))


def _spans(sequences: TokenSequences, position: int) -> Iterator[tuple[int, int]]:
    if sequences.index.layout == "concat":  # `pieces` reads where documents begin, which not every training needs
        start = position * sequences.sequence_length
        yield start, min(start + sequences.sequence_length, len(sequences.stream))
        return
    for start, length in sequences.pieces(position).tolist():
        yield start, start + length


def _ids(path: Path, start: int, stop: int) -> list[str]:
    """Ids of the documents of one shard of which tokens [start, stop) of it are; only their row groups are read."""
    with pq.ParquetFile(path) as file:
        sizes = file.read(columns=["num_tokens"])["num_tokens"].to_numpy()
        ends = np.cumsum(sizes)
        is_inside = (ends > start) & (ends - sizes < stop) & (sizes > 0)
        found: list[str] = []
        row = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            wanted = is_inside[row : row + rows].nonzero()[0]
            if len(wanted):
                found += file.read_row_group(group, columns=["id"])["id"].take(wanted).to_pylist()
            row += rows
    return found
