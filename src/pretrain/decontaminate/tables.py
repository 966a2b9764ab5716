"""The tables that come with the documents: which items were found where, and every item found.

contamination/part-NNNNN.parquet    a row for each item found in a document of that part
items/part-00000.parquet            a row for each item found, in order of the recipe's tasks and of the id
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pretrain.stage import Stats, UnitFiles

CONTAMINATION_SCHEMA = pa.schema(
    [
        pa.field("task", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),  # of the document
        pa.field("source", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),  # kept, cut, dropped
        pa.field("num_words", pa.int64(), nullable=False),  # of the span
        pa.field("item_fraction", pa.float64(), nullable=False),  # of the passage's distinct n-grams
        pa.field("document_fraction", pa.float64(), nullable=False),  # of the document's words, in all spans
        pa.field("span", pa.string(), nullable=False),  # as the document has it
    ]
)
ITEMS_SCHEMA = pa.schema(
    [
        pa.field("task", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("num_documents", pa.int64(), nullable=False),
    ]
)
ITEMS_FILE = "items/part-00000.parquet"
_MAX_SPAN_CHARS = 1000


class ItemsUnit(NamedTuple):
    """The unit that counts items: the names of all tasks, and of the parts of the contamination table."""

    tasks: tuple[str, ...]
    parts: tuple[str, ...]


def shown_span(span: str) -> str:
    """A span as the table holds it: at most 1000 characters."""
    return span if len(span) <= _MAX_SPAN_CHARS else span[: _MAX_SPAN_CHARS - 1] + "…"


def contamination_file(part: str) -> str:
    """The path of the contamination table of one part."""
    return f"contamination/{part}.parquet"


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes the contamination table of one part."""
    pq.write_table(pa.Table.from_pylist(list(rows), CONTAMINATION_SCHEMA), path, compression="zstd")


def count_items(files: UnitFiles, unit: ItemsUnit) -> Stats:
    """Writes the table of items found and returns items_hit_by_task."""
    counts: Counter[tuple[str, str]] = Counter()
    for part in unit.parts:
        table = pq.read_table(files.scratch(contamination_file(part)), columns=["task", "item"])
        counts.update(zip(table["task"].to_pylist(), table["item"].to_pylist(), strict=True))
    place = {task: number for number, task in enumerate(unit.tasks)}
    found = sorted(counts, key=lambda pair: (place[pair[0]], pair[1]))
    rows = [{"task": task, "item": item, "num_documents": counts[task, item]} for task, item in found]
    with files.create(ITEMS_FILE) as output:
        pq.write_table(pa.Table.from_pylist(rows, ITEMS_SCHEMA), output.path, compression="zstd")
        output.rows = len(rows)
    return {"items_hit_by_task": dict.fromkeys(unit.tasks, 0) | Counter(task for task, _ in found)}
