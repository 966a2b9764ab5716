"""A few documents that a reason took, with the beginning of their text: what a drop looks like.

The receipts of an artifact's units say which ledger part has which reasons, so that no part is opened in vain: at
most as many as there are examples, each with the row groups that its texts are in. The cost does not grow with the
corpus: of more than 2,048 ledger parts, receipts are read of so many, spread over all, and no more than are needed.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from pretrain.artifact import Artifact, PartRecord
from pretrain.columns import open_columns
from pretrain.documents import LEDGER_SCHEMA, LedgerRow
from pretrain.stage import Receipt

EXAMPLES_PER_REASON = 3
_RECEIPTS_AT_ONCE = 256
_MAX_RECEIPTS = 2048
_MAX_PARTS_WITHOUT_RECEIPT = 16
_TEXT_CHARS = 1000

ReasonCounts = Mapping[str, int]


@dataclass(frozen=True)
class Example:
    """One document that was dropped. `text` is the beginning of what the stage read, or None where it was not found."""

    row: LedgerRow
    text: str | None


def find_examples(
    artifact: Artifact, upstream: Artifact | None, per_reason: int = EXAMPLES_PER_REASON
) -> dict[str, list[Example]]:
    """Examples by reason, in the order of the ledger: so many of each, or all that it took.

    Args:
        artifact: of a document stage.
        upstream: the artifact that it read; None for `download`, whose ledger is of records without a text.
        per_reason: at most so many of each reason.

    Raises:
        DamagedArtifactError: a part that was looked into is missing or damaged.
    """
    dropped: ReasonCounts = artifact.manifest.stats.get("dropped_by_reason", {})
    missing = {reason: min(per_reason, count) for reason, count in dropped.items()}
    parts = [part for part in artifact.parts("ledger/") if part.rows]
    known = _reasons_by_part(artifact, parts, missing)
    chosen = _choose_parts(known, missing)
    found: dict[str, list[Example]] = {reason: [] for reason in missing}
    for part in (part for part in parts if part.path in chosen):
        take = {reason: min(missing[reason], known[part.path].get(reason, 0)) for reason in missing}
        if not any(take.values()):
            continue
        rows = list(_first_rows(artifact, part, take))
        texts = _texts(upstream, part, [row.id for row in rows]) if upstream is not None else {}
        for row in rows:
            found[row.reason].append(Example(row, texts.get(row.id)))
            missing[row.reason] -= 1
    return {reason: examples for reason, examples in found.items() if examples}


def _reasons_by_part(artifact: Artifact, parts: Sequence[PartRecord], missing: ReasonCounts) -> dict[str, ReasonCounts]:
    """What was dropped in each ledger part, by its path, until there is enough of every reason."""
    known: dict[str, ReasonCounts] = {}
    num_in_all: Counter[str] = Counter()
    num_scanned = 0
    stride = -(-len(parts) // _RECEIPTS_AT_ONCE)
    for first in range(min(stride, _MAX_RECEIPTS // _RECEIPTS_AT_ONCE)):
        if all(num_in_all[reason] >= count for reason, count in missing.items()):
            break
        some = parts[first::stride]  # spread over the parts, as sources lie side by side
        receipts = artifact.store.read_many(_receipt_key(artifact, part) for part in some)
        for part in some:
            counts = _counts_in_receipt(receipts.get(_receipt_key(artifact, part)), part)
            if counts is None and num_scanned < _MAX_PARTS_WITHOUT_RECEIPT:
                counts = _counts_in_ledger(artifact, part)
                num_scanned += 1
            known[part.path] = counts or {}
            num_in_all.update(counts or {})
    return known


def _receipt_key(artifact: Artifact, part: PartRecord) -> str:
    """Where a document stage puts the receipt of the unit that wrote a ledger part: both are named after the unit."""
    return f"{artifact.key}/receipts/{_unit_of(part)}.json"


def _unit_of(part: PartRecord) -> str:
    return part.path.removeprefix("ledger/").removesuffix(".parquet")


def _counts_in_receipt(data: bytes | None, part: PartRecord) -> ReasonCounts | None:
    """What the unit of a ledger part counted; None without a receipt, or with one that is about other bytes."""
    try:
        receipt = Receipt.model_validate_json(data or b"")
    except ValidationError:
        return None
    counts: ReasonCounts | None = receipt.stats.get("dropped_by_reason")
    return counts if part in receipt.files else None


def _counts_in_ledger(artifact: Artifact, part: PartRecord) -> ReasonCounts:
    counts: Counter[str] = Counter()
    with open_columns(artifact, part) as file:
        for group in range(file.num_row_groups):
            counts.update(file.read_row_group(group, columns=["reason"])["reason"].to_pylist())
    return counts


def _choose_parts(known: Mapping[str, ReasonCounts], missing: ReasonCounts) -> set[str]:
    """Parts that together have enough of every reason, and few of them: those of rare reasons are fixed first."""
    left = dict(missing)
    having = {reason: [path for path in sorted(known) if known[path].get(reason)] for reason in missing}

    def gain(path: str) -> int:
        return sum(min(left[reason], count) for reason, count in known[path].items() if reason in left)

    chosen: set[str] = set()
    for reason in sorted(missing, key=lambda reason: len(having[reason])):
        while left[reason] > 0 and (candidates := [path for path in having[reason] if path not in chosen]):
            path = max(candidates, key=gain)
            chosen.add(path)
            left.update({one: left[one] - min(left[one], known[path].get(one, 0)) for one in left})
    return chosen


def _first_rows(artifact: Artifact, part: PartRecord, take: ReasonCounts) -> Iterator[LedgerRow]:
    """The first rows of each reason in one ledger part, so many of each."""
    left = dict(take)
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
    place = int(_unit_of(ledger).removeprefix("part-"))
    parts = upstream.parts("data/")
    texts: dict[str, str] = {}
    if place >= len(parts):
        return texts
    with open_columns(upstream, parts[place]) as file:
        for group in range(file.num_row_groups):
            if len(texts) == len(ids):
                break
            texts |= _texts_in(file, group, pa.array(ids, pa.string()))
    return texts


def _texts_in(file: pq.ParquetFile, group: int, ids: pa.Array) -> dict[str, str]:
    fits = pc.is_in(file.read_row_group(group, columns=["id"])["id"], value_set=ids)
    if not pc.any(fits).as_py():
        return {}
    table = file.read_row_group(group, columns=["id", "text"]).filter(fits)
    beginnings = pc.utf8_slice_codeunits(table["text"], 0, _TEXT_CHARS)
    return dict(zip(table["id"].to_pylist(), beginnings.to_pylist(), strict=True))
