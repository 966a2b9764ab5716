"""What every document is known by before any comparison: `signatures/documents/part-00000.parquet`.

| column | type | is |
|---|---|---|
| `id`, `source` | string | as in the document |
| `text_bytes` | int64 | bytes of UTF-8 text |
| `quality` | double, nullable | the number under `keep.quality_key`; only with such a key |
| `exact_high`, `exact_low` | uint64 | 128-bit hash of the normalised text; only with `exact` on |

One row a document in input order, those that go included: a later run against this artifact reads it.
"""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pretrain.dedup.config import DedupConfig
from pretrain.dedup.corpus import CorpusPart, signature_path
from pretrain.dedup.normalization import text_digest
from pretrain.dedup.shuffle import UInt64Array
from pretrain.errors import StageError
from pretrain.stage import Stats, UnitFiles

EXACT_COLUMNS = ("exact_high", "exact_low")


class ListingUnit(NamedTuple):
    """One new part."""

    part: CorpusPart
    config: DedupConfig


def list_documents(files: UnitFiles, unit: ListingUnit) -> Stats:
    """Writes the listing of one part; counts documents and bytes, also by source.

    Raises:
        StageError: a quality is not a number.
    """
    by_source: Counter[str] = Counter()
    text_bytes = 0
    schema = _schema(unit.config)
    keep, exact = unit.config.keep, unit.config.exact
    columns = ["id", "source", "text", *(["metadata"] if keep.quality_key is not None else [])]
    with (
        pq.ParquetFile(unit.part.artifact.open_part(unit.part.part)) as documents,
        files.create(signature_path("documents", unit.part.number)) as output,
        pq.ParquetWriter(output.path, schema, compression="zstd", use_dictionary=["source"]) as writer,
    ):
        for index in range(documents.num_row_groups):
            table = documents.read_row_group(index, columns=columns)
            sizes = pc.binary_length(table["text"]).cast(pa.int64())
            listed: dict[str, Any] = {"id": table["id"], "source": table["source"], "text_bytes": sizes}
            if keep.quality_key is not None:
                listed["quality"] = _qualities(table, keep.quality_key)
            if exact is not None:
                digests = b"".join(text_digest(text, exact.normalize) for text in table["text"].to_pylist())
                listed |= zip(EXACT_COLUMNS, halves(digests), strict=True)
            writer.write_table(pa.table(listed, schema), row_group_size=max(table.num_rows, 1))
            output.rows += table.num_rows
            text_bytes += pc.sum(sizes).as_py() or 0
            by_source.update(table["source"].to_pylist())
    return {
        "documents_in": output.rows,
        "bytes_in": text_bytes,
        "documents_in_by_source": dict(sorted(by_source.items())),
    }


def halves(digests: bytes) -> tuple[UInt64Array, UInt64Array]:
    """The high and the low 64 bits of 128-bit digests that stand end to end."""
    found = np.frombuffer(digests, ">u8").reshape(-1, 2).astype(np.uint64)
    return found[:, 0], found[:, 1]


def _schema(config: DedupConfig) -> pa.Schema:
    fields = [("id", pa.string()), ("source", pa.string()), ("text_bytes", pa.int64())]
    fields += [(name, pa.uint64()) for name in (EXACT_COLUMNS if config.exact is not None else ())]
    required = [pa.field(name, type_, nullable=False) for name, type_ in fields]
    return pa.schema([*required, *([pa.field("quality", pa.float64())] if config.keep.quality_key is not None else [])])


def _qualities(table: pa.Table, key: str) -> list[float | None]:
    found: list[float | None] = []
    for identifier, metadata in zip(table["id"].to_pylist(), table["metadata"].to_pylist(), strict=True):
        value = orjson.loads(metadata).get(key) if metadata is not None else None
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise StageError(
                f"metadata key {key!r} (dedup.keep.quality_key) of document {identifier} is {value!r}, not a "
                "number: name another key, or correct the source"
            )
        found.append(value)
    return found
