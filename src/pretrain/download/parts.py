"""The files of one unit: document parts of bounded size, and a ledger part where there is need."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from pretrain.documents import Document, LedgerRow, TableWriter, document_writer, ledger_writer
from pretrain.stage import OutputFile, UnitFiles

# UTF-8 bytes of text in a part: the size that later stages take as their unit of work.
PART_TEXT_BYTES = 128 << 20


class UnitParts:
    """Writes `data/<unit>.parquet`, `data/<unit>_001.parquet` ... as they fill, and `ledger/<unit>.parquet`.

    The underscore sorts after the dot, so the order of paths is the order of reading. Use as a context
    manager; when the block ends with an error nothing unfinished is committed.
    """

    def __init__(self, files: UnitFiles, unit: str, part_text_bytes: int = PART_TEXT_BYTES) -> None:
        self._files = files
        self._unit = unit
        self._limit = part_text_bytes
        self._ledger: _Table | None = None
        self._num_parts = 0
        self._part_bytes = 0

    def __enter__(self) -> "UnitParts":
        self._part = self._next_part()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._part.close(*exc_info)
        if self._ledger is not None:
            self._ledger.close(*exc_info)

    def append_document(self, document: Document, num_bytes: int) -> None:
        """Adds a document with `num_bytes` of UTF-8 text; a part it would overfill is closed first."""
        if self._part_bytes and self._part_bytes + num_bytes > self._limit:
            self._part.close()
            self._part = self._next_part()
        self._part.append(document)
        self._part_bytes += num_bytes

    def append_ledger(self, row: LedgerRow) -> None:
        """Adds a ledger row."""
        if self._ledger is None:
            self._ledger = _Table(self._files, f"ledger/{self._unit}.parquet", ledger_writer)
        self._ledger.append(row)

    def _next_part(self) -> "_Table":
        suffix = f"_{self._num_parts:03d}" if self._num_parts else ""
        self._num_parts += 1
        self._part_bytes = 0
        return _Table(self._files, f"data/{self._unit}{suffix}.parquet", document_writer)


class _Table:
    """One open file of the unit with its writer."""

    def __init__(self, files: UnitFiles, path: str, writer: Callable[[Path], TableWriter]) -> None:
        with contextlib.ExitStack() as stack:  # closed here when the writer cannot be made
            self._output: OutputFile = stack.enter_context(files.create(path))
            self._writer = stack.enter_context(writer(self._output.path))
            self._stack = stack.pop_all()

    def append(self, row: Document | LedgerRow) -> None:
        self._writer.append(row)
        self._output.rows = self._writer.num_rows

    def close(self, *exc_info: object) -> None:
        self._stack.__exit__(*(exc_info or (None, None, None)))  # type: ignore[arg-type]
