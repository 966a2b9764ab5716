"""The cluster table: `clusters/part-00000.parquet`, for stages that split or weight documents by cluster.

| column | type | is |
|---|---|---|
| `id` | string | a document that repeats another one, or that another one repeats |
| `cluster` | string | id of the first document of its cluster in keeper order |
| `size` | int64 | documents of the cluster, those that went included |
| `kept` | bool | whether the document is in `data/` |

Rows are sorted by cluster, then by id. A cluster stands in one file, chosen by its component; the number of files
follows from the number of documents alone.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain.dedup.decision import CLUSTER_COLUMNS
from pretrain.dedup.keeper import id_column
from pretrain.dedup.shuffle import Slice, read_slices
from pretrain.stage import Stats, UnitFiles, part_name

_DOCUMENTS_PER_FILE = 1 << 19

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("cluster", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("kept", pa.bool_(), nullable=False),
    ]
)


class ClusterUnit(NamedTuple):
    """One file of the table."""

    number: int
    slices: tuple[Slice, ...]


def num_cluster_files(num_documents: int) -> int:
    """Into how many files the table of a corpus is cut."""
    return max(1, -(-num_documents // _DOCUMENTS_PER_FILE))


def write_clusters(files: UnitFiles, unit: ClusterUnit) -> Stats:
    """Writes one file of the cluster table; returns the number of clusters and the size of the largest."""
    rows = read_slices(files, unit.slices, CLUSTER_COLUMNS)
    rows = rows[np.lexsort((rows[:, 3], rows[:, 2], rows[:, 1], rows[:, 0]))]
    columns = {
        "id": id_column(rows[:, 2:4]),
        "cluster": id_column(rows[:, :2]),
        "size": rows[:, 4].astype(np.int64),
        "kept": rows[:, 5] == 1,
    }
    with files.create(f"clusters/{part_name(unit.number)}.parquet") as output:
        pq.write_table(pa.table(columns, _SCHEMA), output.path, compression="zstd")
        output.rows = len(rows)
    is_first = (rows[:, :2] == rows[:, 2:4]).all(axis=1)
    return {"clusters": int(is_first.sum()), "largest_cluster": int(rows[:, 4].max(initial=0))}
