"""Documents that repeat each other: one side of the split takes a whole cluster, and its size may weight a document.

The table `clusters/` of a dedup artifact names the cluster of every document that repeats another one, and its size. A
document that stays beside the first of its cluster has its side decided by that one's id. Most policies keep one
document of a cluster, so that there is none.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pretrain.artifact import Artifact
from pretrain.stage import Stats, UnitFiles

MEMBERS = "scratch/members.parquet"

_COLUMNS = ["id", "cluster", "size"]
_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("cluster", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
    ]
)
_GROUP_ROWS = 1 << 17


class MembersUnit(NamedTuple):
    """A dedup artifact, and the smallest size of a cluster that is weighted; None where none is."""

    artifact: Artifact
    smallest_size: int | None


class Clusters(NamedTuple):
    """What is asked about clusters. `sizes` are the smallest of each size class from 1 on, ascending."""

    sizes: tuple[int, ...]


class InClusters(NamedTuple):
    """Those of some documents that are in clusters.

    rows: their places among the documents asked about.
    clusters: ids of the clusters' first documents.
    size_classes: of the clusters, 0 for those below every size that is weighted.
    """

    rows: list[int]
    clusters: list[str]
    size_classes: NDArray[np.int64]


def find_members(files: UnitFiles, unit: MembersUnit) -> Stats:
    """Writes the documents that stay beside the first of their cluster, or in a cluster of a size that is weighted."""
    with files.create(MEMBERS) as output, pq.ParquetWriter(output.path, _SCHEMA) as writer:
        for part in unit.artifact.parts("clusters/"):
            table = pq.read_table(unit.artifact.open_part(part), columns=[*_COLUMNS, "kept"])
            is_told = pc.not_equal(table["id"], table["cluster"])
            if unit.smallest_size is not None:
                is_told = pc.or_(is_told, pc.greater_equal(table["size"], unit.smallest_size))
            chosen = table.filter(pc.and_(table["kept"], is_told)).select(_COLUMNS).cast(_SCHEMA)
            writer.write_table(chosen, row_group_size=_GROUP_ROWS)
            output.rows += chosen.num_rows
    return {"members": output.rows}


def find_clusters(files: UnitFiles, clusters: Clusters, ids: pa.ChunkedArray) -> InClusters:
    """The clusters of those of the documents that are in one."""
    rows: list[int] = []
    names: list[str] = []
    sizes: list[int] = []
    with pq.ParquetFile(files.scratch(MEMBERS)) as file:
        for index in range(file.num_row_groups):
            group = file.read_row_group(index)
            places = pc.index_in(group["id"], value_set=ids)
            found = group.filter(pc.is_valid(places))
            rows += places.drop_null().to_pylist()
            names += found["cluster"].to_pylist()
            sizes += found["size"].to_pylist()
    return InClusters(rows, names, np.searchsorted(np.array(clusters.sizes), np.array(sizes), side="right"))
