"""Documents that repeat each other and all stay: one side of the validation split takes the whole cluster.

The table `clusters/` of a dedup artifact names the cluster of every document that repeats another one. A document
that stays beside the first of its cluster has its side decided by that one's id. Most policies keep one document of a
cluster, so that there is none.
"""

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pretrain.artifact import Artifact
from pretrain.stage import Stats, UnitFiles

COMPANIONS = "scratch/companions.parquet"


class CompanionsUnit(NamedTuple):
    """A dedup artifact."""

    artifact: Artifact


def find_companions(files: UnitFiles, unit: CompanionsUnit) -> Stats:
    """Writes `id` and `cluster` of the documents that stay beside the first of their cluster."""
    with files.create(COMPANIONS) as output, pq.ParquetWriter(output.path, _SCHEMA) as writer:
        for part in unit.artifact.parts("clusters/"):
            table = pq.read_table(unit.artifact.open_part(part), columns=["id", "cluster", "kept"])
            is_companion = pc.and_(table["kept"], pc.not_equal(table["id"], table["cluster"]))
            chosen = table.filter(is_companion).select(["id", "cluster"]).cast(_SCHEMA)
            writer.write_table(chosen)
            output.rows += chosen.num_rows
    return {"companions": output.rows}


def split_ids(files: UnitFiles, ids: list[str]) -> list[str]:
    """For every document the id that decides its side: of its cluster, or its own."""
    table = pq.read_table(files.scratch(COMPANIONS), filters=pc.field("id").isin(pa.array(ids, pa.string())))
    clusters = dict(zip(table["id"].to_pylist(), table["cluster"].to_pylist(), strict=True))
    return [clusters.get(each, each) for each in ids]


_SCHEMA = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("cluster", pa.string(), nullable=False)])
