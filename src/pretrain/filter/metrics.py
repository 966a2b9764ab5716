"""The table of metrics: a row for every document judged, kept or not, with all that the rules measured on it.

    id, source, kept      the document
    failed                every test that failed, `<rule>.<reason>`, in order: the first is the ledger's reason
    <rule>.<metric> ...   what was measured (float64, null where there was nothing to measure)

A rule that stands more than once is `<rule>`, `<rule>#2` ... in the recipe's order. Written as
`metrics/part-NNNNN.parquet` beside the part of documents that it describes.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pretrain.documents import Document
from pretrain.filter.judgement import Judgement

_ROW_GROUP_ROWS = 4096
_DOCUMENT_FIELDS = (
    pa.field("id", pa.string(), nullable=False),
    pa.field("source", pa.string(), nullable=False),
    pa.field("kept", pa.bool_(), nullable=False),
    pa.field("failed", pa.list_(pa.string()), nullable=False),
)


class MetricsWriter:
    """Writes the table, a row group at a time. Use as a context manager; `num_rows` counts rows accepted.

    Args:
        path: the local file to write.
        columns: the metrics, `<rule>.<metric>`, in order.
    """

    def __init__(self, path: Path, columns: list[str]) -> None:
        self._columns = columns
        self._schema = pa.schema([*_DOCUMENT_FIELDS, *(pa.field(name, pa.float64()) for name in columns)])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd", compression_level=3)
        self._rows: list[tuple[Any, ...]] = []
        self.num_rows = 0

    def append(self, document: Document, judgement: Judgement) -> None:
        """Adds the row of one document."""
        failed = [f"{label}.{check.reason}" for label, check in judgement.failed]
        values = map(judgement.metrics.get, self._columns)
        self._rows.append((document.id, document.source, not failed, failed, *values))
        self.num_rows += 1
        if len(self._rows) >= _ROW_GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows = []

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._flush()
        self._writer.close()
