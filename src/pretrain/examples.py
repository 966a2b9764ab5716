"""A few documents that a reason took, with the beginning of their text: what a drop looks like.

Found by reading a handful of ledger parts, and the row groups of the parts they came from: the cost does not grow
with the corpus. A reason that no such part has is left without an example.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pretrain.artifact import Artifact, PartRecord
from pretrain.columns import open_columns
from pretrain.documents import LEDGER_SCHEMA, LedgerRow

EXAMPLES_PER_REASON = 3
_MAX_LEDGER_PARTS = 4
_MAX_ROW_GROUPS = 8  # of texts in one part
_TEXT_CHARS = 1000


@dataclass(frozen=True)
class Example:
    """One document that was dropped. `text` is the beginning of what the stage read, or None where it was not found."""

    row: LedgerRow
    text: str | None


def find_examples(
    artifact: Artifact, upstream: Artifact | None, per_reason: int = EXAMPLES_PER_REASON
) -> dict[str, list[Example]]:
    """Examples by reason, in the order of the ledger.

    Args:
        artifact: of a document stage.
        upstream: the artifact that it read; None for `download`, whose ledger is of records without a text.
        per_reason: at most so many of each reason.

    Raises:
        DamagedArtifactError: a part that was looked into is missing or damaged.
    """
    wanted: Mapping[str, int] = artifact.manifest.stats.get("dropped_by_reason", {})
    found: dict[str, list[Example]] = {reason: [] for reason in wanted}
    parts = [part for part in artifact.parts("ledger/") if part.rows]
    for part in parts[:_MAX_LEDGER_PARTS]:
        missing = {reason: per_reason - len(examples) for reason, examples in found.items()}
        rows = list(_first_rows(artifact, part, missing))
        texts = _texts(upstream, part, [row.id for row in rows]) if upstream is not None else {}
        for row in rows:
            found[row.reason].append(Example(row, texts.get(row.id)))
        if all(len(found[reason]) >= min(per_reason, count) for reason, count in wanted.items()):
            break
    return {reason: examples for reason, examples in found.items() if examples}


def _first_rows(artifact: Artifact, part: PartRecord, missing: Mapping[str, int]) -> Iterator[LedgerRow]:
    """The first rows of each reason in one ledger part, as many as are missing."""
    left = dict(missing)
    with open_columns(artifact, part) as file:
        for group in range(file.num_row_groups):
            if not any(left.values()):
                return
            reasons = file.read_row_group(group, columns=["reason"])["reason"].to_pylist()
            chosen = []
            for index, reason in enumerate(reasons):
                if left.get(reason, 0) > 0:  # changes of documents that stayed have other reasons
                    left[reason] -= 1
                    chosen.append(index)
            if chosen:
                table = file.read_row_group(group, columns=LEDGER_SCHEMA.names)
                yield from (LedgerRow(**row) for row in table.take(pa.array(chosen)).to_pylist())


def _texts(upstream: Artifact, ledger: PartRecord, ids: Sequence[str]) -> dict[str, str]:
    """The beginnings of the texts with these ids, from the part that the ledger part is about."""
    place = int(ledger.path.removeprefix("ledger/part-").removesuffix(".parquet"))
    parts = upstream.parts("data/")
    texts: dict[str, str] = {}
    if place >= len(parts):
        return texts
    with open_columns(upstream, parts[place]) as file:
        num_read = 0
        for group in range(file.num_row_groups):
            if len(texts) == len(ids) or num_read == _MAX_ROW_GROUPS:
                break
            texts_here = _texts_in(file, group, pa.array(ids, pa.string()))
            num_read += bool(texts_here)
            texts |= texts_here
    return texts


def _texts_in(file: pq.ParquetFile, group: int, ids: pa.Array) -> dict[str, str]:
    fits = pc.is_in(file.read_row_group(group, columns=["id"])["id"], value_set=ids)
    if not pc.any(fits).as_py():
        return {}
    table = file.read_row_group(group, columns=["id", "text"]).filter(fits)
    beginnings = pc.utf8_slice_codeunits(table["text"], 0, _TEXT_CHARS)
    return dict(zip(table["id"].to_pylist(), beginnings.to_pylist(), strict=True))
