"""The document and ledger tables: the two schemas that every data stage reads and writes.

Both are parquet with zstd and a fixed schema, so that a late `null` or a new key in the input can never change
the type of a column in the middle of a run.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pretrain.filehash import HashedFile

DOCUMENT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # 16 bytes as 32 hex digits
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("lang", pa.string()),
        pa.field("metadata", pa.string()),  # a JSON object
    ]
)

LEDGER_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("threshold", pa.float64()),
        pa.field("evidence", pa.string()),
    ]
)

# A row group is the unit of reading: 4 MiB of text keeps a reader's memory small at any part size.
ROW_GROUP_TEXT_BYTES = 4 << 20
ROW_GROUP_DOCUMENTS = 4096


class Document(NamedTuple):
    """One document. `id` is 32 hex digits; `metadata` is a JSON object as text."""

    id: str
    text: str
    source: str
    url: str | None = None
    lang: str | None = None
    metadata: str | None = None


class LedgerRow(NamedTuple):
    """Why one document was dropped or changed, with the measured value beside the threshold."""

    id: str
    source: str
    stage: str
    reason: str
    value: float | None = None
    threshold: float | None = None
    evidence: str | None = None


def document_id(source: str, file: str, position: int) -> str:
    """The stable id of a record: 32 hex digits from source name, file name and position in the file."""
    key = f"{source}\0{file}\0{position}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(key, digest_size=16).hexdigest()


class TableWriter:
    """Writes rows of one schema to a parquet file, flushing a row group at a time (bounded memory).

    Use as a context manager; an opened file is closed with it. `num_rows` counts the rows accepted so far.
    """

    def __init__(self, file: Path | HashedFile, schema: pa.Schema) -> None:
        self._file = file
        self._schema = schema
        self._rows: list[tuple[Any, ...]] = []
        self._pending_bytes = 0
        self._writer = pq.ParquetWriter(file, schema, compression="zstd", compression_level=3)
        self.num_rows = 0

    def append(self, row: Document | LedgerRow) -> None:
        """Adds one row."""
        self._rows.append(row)
        self.num_rows += 1
        self._pending_bytes += len(row.text) + len(row.metadata or "") if isinstance(row, Document) else 64
        if self._pending_bytes >= ROW_GROUP_TEXT_BYTES or len(self._rows) >= ROW_GROUP_DOCUMENTS:
            self._flush()

    def append_table(self, table: pa.Table) -> None:
        """Adds the rows of a table that already has this schema, as one row group."""
        self._flush()
        if table.num_rows:
            self._writer.write_table(table.cast(self._schema), row_group_size=table.num_rows)
            self.num_rows += table.num_rows

    def _flush(self) -> None:
        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [pa.array(c, f.type) for c, f in zip(columns, self._schema, strict=True)]
            table = pa.Table.from_arrays(arrays, schema=self._schema)
            self._writer.write_table(table, row_group_size=table.num_rows)
        self._rows, self._pending_bytes = [], 0

    def close(self) -> None:
        """Writes what is pending and the parquet footer."""
        try:
            self._flush()
            self._writer.close()
        finally:
            if isinstance(self._file, HashedFile):
                self._file.close()

    def __enter__(self) -> "TableWriter":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def document_writer(file: Path | HashedFile) -> TableWriter:
    """A writer of documents to a path or an opened file."""
    return TableWriter(file, DOCUMENT_SCHEMA)


def ledger_writer(file: Path | HashedFile) -> TableWriter:
    """A writer of ledger rows to a path or an opened file."""
    return TableWriter(file, LEDGER_SCHEMA)


def read_documents(path: Path) -> Iterator[Document]:
    """Streams the documents of a part, one row group in memory at a time."""
    for table in read_document_tables(path):
        yield from documents_of(table)


def read_document_tables(path: Path) -> Iterator[pa.Table]:
    """Streams the row groups of a part of documents, as columns."""
    with pq.ParquetFile(path) as file:
        for index in range(file.num_row_groups):
            yield file.read_row_group(index, columns=DOCUMENT_SCHEMA.names)


def documents_of(table: pa.Table) -> Iterator[Document]:
    """The documents of a table with the columns of `DOCUMENT_SCHEMA`."""
    return map(Document._make, zip(*table.to_pydict().values(), strict=True))


def read_ledger(path: Path) -> Iterator[LedgerRow]:
    """Streams the rows of a ledger part, one row group in memory at a time."""
    with pq.ParquetFile(path) as file:
        for index in range(file.num_row_groups):
            columns = file.read_row_group(index, columns=LEDGER_SCHEMA.names).to_pydict()
            yield from map(LedgerRow._make, zip(*columns.values(), strict=True))
