"""The documents that differ between two artifacts: of one alone, with another text, or in another split.

What is held of every document is its id, a hash of its text and its split: 33 bytes, and some 95 more while they are
matched. Parts that both artifacts have are not read at all. Texts are read one row group at a time, and again only for
the documents that are named.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pretrain.artifact import Artifact, PartRecord
from pretrain.columns import open_columns
from pretrain.errors import DamagedArtifactError

_EXCERPT_CHARS = 80
_CHARS_BEFORE_DIFFERENCE = 20
_LEDGER_COLUMNS = ["id", "reason", "value", "threshold"]
_FIELDS = ["source", "url", "lang", "metadata"]

T = TypeVar("T")
Rows = NDArray[np.int64]
Words = NDArray[np.uint64]


@dataclass(frozen=True)
class LoneDocument:
    """A document of one artifact alone; where the other's ledger says why, its reason, measured value and threshold."""

    id: str
    source: str
    excerpt: str
    reason: str | None
    value: float | None
    threshold: float | None


@dataclass(frozen=True)
class ChangedDocument:
    """A document of both artifacts with another text; the excerpts are from where the texts part."""

    id: str
    source: str
    excerpt_a: str
    excerpt_b: str


@dataclass(frozen=True)
class RelabelledDocument:
    """A document of both artifacts with another source, url, language or metadata: the values that differ, by field."""

    id: str
    source: str
    a: dict[str, str | None]
    b: dict[str, str | None]


@dataclass(frozen=True)
class MovedDocument:
    """A document of both artifacts that is in another split (`train`, `validation`)."""

    id: str
    source: str
    excerpt: str
    split_a: str
    split_b: str


@dataclass(frozen=True)
class Named(Generic[T]):
    """How many there are, and the first of them in order of id."""

    count: int
    first: list[T]


@dataclass(frozen=True)
class Lone(Named[LoneDocument]):
    """The documents of one artifact alone. `by_reason` counts those that the other's ledger has, all of them."""

    by_reason: dict[str, int]


@dataclass(frozen=True)
class DocumentDifferences:
    """How the documents of artifacts A and B differ; one with another text in another split counts as both."""

    num_a: int
    num_b: int
    only_in_a: Lone
    only_in_b: Lone
    other_text: Named[ChangedDocument]
    other_fields: Named[RelabelledDocument]
    other_split: Named[MovedDocument]


class Keys(NamedTuple):
    """What documents are compared by, row by row.

    Attributes:
        ids: (num_documents, 2) uint64, the 16 bytes of an id.
        texts: (num_documents, 2) uint64, the 16 bytes of a hash of the text.
        fields: (num_documents,) uint64, a hash of source, url, language and metadata.
        splits: (num_documents,) uint8, a number for the split.
    """

    ids: Words
    texts: Words
    fields: Words
    splits: NDArray[np.uint8]


class Matching(NamedTuple):
    """Rows of documents, in order of id: of one side alone, and (num_pairs, 2) those of both that are not equal."""

    only_a: Rows
    only_b: Rows
    changed: Rows


class _Side(NamedTuple):
    """One artifact: the parts that were read, the row that each begins with, and the keys of all rows."""

    artifact: Artifact
    parts: list[PartRecord]
    starts: Rows
    keys: Keys

    def id(self, row: int) -> str:
        high, low = self.keys.ids[row].tolist()
        return f"{high:016x}{low:016x}"


def differing_documents(a: Artifact, b: Artifact, limit: int) -> DocumentDifferences:
    """Compares the documents of two artifacts by id.

    Args:
        a: an artifact of documents.
        b: another.
        limit: how many documents of each kind are named.

    Raises:
        DamagedArtifactError: a part differs from the manifest.
    """
    unlike_a, unlike_b = _without_shared(a.parts(), b.parts()), _without_shared(b.parts(), a.parts())
    splits = sorted({_split(part) for part in (*unlike_a, *unlike_b)})
    side_a, side_b = _read(a, unlike_a, splits), _read(b, unlike_b, splits)
    found = match(side_a.keys, side_b.keys)
    in_a, in_b = found.changed.T
    has_other_text = (side_a.keys.texts[in_a] != side_b.keys.texts[in_b]).any(axis=1)
    has_other_fields = side_a.keys.fields[in_a] != side_b.keys.fields[in_b]
    has_other_split = side_a.keys.splits[in_a] != side_b.keys.splits[in_b]
    other_text, other_fields = found.changed[has_other_text], found.changed[has_other_fields]
    other_split = found.changed[has_other_split]
    return DocumentDifferences(
        sum(part.rows for part in a.parts()),
        sum(part.rows for part in b.parts()),
        _lone(side_a, found.only_a, b, limit),
        _lone(side_b, found.only_b, a, limit),
        Named(len(other_text), _changed(side_a, side_b, other_text[:limit])),
        Named(len(other_fields), _relabelled(side_a, side_b, other_fields[:limit])),
        Named(len(other_split), _moved(side_a, side_b, other_split[:limit], splits)),
    )


def match(a: Keys, b: Keys) -> Matching:
    """Finds the counterpart of each document: an equal one where there is one, else one of the same id.

    An id that stands several times has as many counterparts as the other side has documents of it.
    """
    is_b = np.repeat([False, True], [len(a.ids), len(b.ids)])
    words = np.concatenate([a.ids, b.ids]), np.concatenate([a.texts, b.texts])
    columns = [column for pair in words for column in pair.T]
    columns += [np.concatenate([a.fields, b.fields]), np.concatenate([a.splits, b.splits])]
    order = np.lexsort((is_b, *reversed(columns)))
    equal = _has_counterpart(_groups([column[order] for column in columns]), is_b[order])
    rest = order[~equal]
    groups = _groups([column[rest] for column in columns[:2]])
    by_side = np.lexsort((is_b[rest], groups))  # stable: within a side still in order of text
    rest, groups = rest[by_side], groups[by_side]
    paired = _has_counterpart(groups, is_b[rest])
    rows_a, rows_b = ~is_b[rest], is_b[rest]
    pairs = np.stack([rest[paired & rows_a], rest[paired & rows_b] - len(a.ids)], axis=1)
    return Matching(rest[~paired & rows_a], rest[~paired & rows_b] - len(a.ids), pairs)


def _groups(columns: Sequence[NDArray[np.integer]]) -> Rows:
    """The number of the run of equal rows that each row of sorted columns is in, from 0."""
    begins = np.zeros(len(columns[0]), np.bool_)
    for column in columns:
        begins[1:] |= column[1:] != column[:-1]
    return np.cumsum(begins, dtype=np.int64)


def _has_counterpart(groups: Rows, is_b: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each row has one on the other side; rows are in order of group, in a group those of A come first."""
    num_rows = np.bincount(groups)
    num_b = np.bincount(groups[is_b], minlength=len(num_rows))
    num_a = num_rows - num_b
    place = np.arange(len(groups)) - (np.cumsum(num_rows) - num_rows)[groups]
    rank = place - np.where(is_b, num_a[groups], 0)
    found: NDArray[np.bool_] = rank < np.minimum(num_a, num_b)[groups]
    return found


def _without_shared(parts: Sequence[PartRecord], others: Sequence[PartRecord]) -> list[PartRecord]:
    shared = Counter((_split(part), part.sha256) for part in others)
    left = []
    for part in parts:
        key = (_split(part), part.sha256)
        if not shared[key]:
            left.append(part)
        shared[key] -= bool(shared[key])
    return left


def _split(part: PartRecord) -> str:
    return part.path.removeprefix("data/").rpartition("/")[0]


def _read(artifact: Artifact, parts: list[PartRecord], splits: Sequence[str]) -> _Side:
    nothing = np.empty((0, 2), np.uint64)
    ids, texts, fields, num_rows = [nothing], [nothing], [nothing[:, 0]], []
    for part in parts:
        num_rows.append(0)
        with pq.ParquetFile(artifact.open_part(part)) as file:
            for index in range(file.num_row_groups):
                group = file.read_row_group(index, columns=["id", "text", *_FIELDS])
                ids.append(_id_words(group["id"], f"{artifact.key}/{part.path}"))
                texts.append(_text_words(group["text"]))
                fields.append(_field_words(group.select(_FIELDS)))
                num_rows[-1] += group.num_rows
    numbers = np.array([splits.index(_split(part)) for part in parts], np.uint8)
    starts = np.cumsum([0, *num_rows], dtype=np.int64)[:-1]
    hashes = np.concatenate(texts), np.concatenate(fields)
    return _Side(artifact, parts, starts, Keys(np.concatenate(ids), *hashes, numbers.repeat(num_rows)))


def _id_words(ids: pa.ChunkedArray, place: str) -> Words:
    try:
        raw = bytes.fromhex("".join(ids.to_pylist()))
    except ValueError:
        raw = b""
    if len(raw) != 16 * len(ids) or not pc.all(pc.equal(pc.binary_length(ids), 32)).as_py():
        raise DamagedArtifactError(f"{place} has an id that is not 32 hex digits: build it again with --refresh")
    return np.frombuffer(raw, ">u8").astype(np.uint64).reshape(-1, 2)


def _text_words(texts: pa.ChunkedArray) -> Words:
    data = texts.cast(pa.large_binary()).to_pylist()
    digests = b"".join(hashlib.blake2b(text, digest_size=16).digest() for text in data)
    return np.frombuffer(digests, "<u8").astype(np.uint64).reshape(-1, 2)


def _field_words(fields: pa.Table) -> Words:
    rows = zip(*(column.to_pylist() for column in fields.columns), strict=True)
    digests = b"".join(hashlib.blake2b(repr(row).encode(), digest_size=8).digest() for row in rows)
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def _lone(side: _Side, rows: Rows, other: Artifact, limit: int) -> Lone:
    contents = _contents(side, rows[:limit])
    reasons = _reasons(other, [side.id(row) for row in rows[:limit]])
    documents = []
    for row in rows[:limit].tolist():
        identifier, (text, source, *_) = side.id(row), contents[row]
        reason, value, threshold = reasons.get(identifier, (None, None, None))
        documents.append(LoneDocument(identifier, source, _excerpt(text), reason, value, threshold))
    return Lone(len(rows), documents, _num_by_reason(other, side.keys.ids[rows]))


def _changed(a: _Side, b: _Side, pairs: Rows) -> list[ChangedDocument]:
    of_a, of_b = _contents(a, pairs[:, 0]), _contents(b, pairs[:, 1])
    documents = []
    for row, row_b in pairs.tolist():
        (text, source, *_), (other, *_) = of_a[row], of_b[row_b]
        shorter = min(len(text), len(other))
        parting = next((place for place in range(shorter) if text[place] != other[place]), shorter)
        start = max(parting - _CHARS_BEFORE_DIFFERENCE, 0)
        documents.append(ChangedDocument(a.id(row), source, _excerpt(text, start), _excerpt(other, start)))
    return documents


def _relabelled(a: _Side, b: _Side, pairs: Rows) -> list[RelabelledDocument]:
    of_a, of_b = _contents(a, pairs[:, 0]), _contents(b, pairs[:, 1])
    documents = []
    for row, row_b in pairs.tolist():
        values_a, values_b = (dict(zip(_FIELDS, each[1:], strict=True)) for each in (of_a[row], of_b[row_b]))
        names = [name for name in _FIELDS if values_a[name] != values_b[name]]
        differing = ({name: values[name] for name in names} for values in (values_a, values_b))
        documents.append(RelabelledDocument(a.id(row), values_a["source"], *differing))
    return documents


def _moved(a: _Side, b: _Side, pairs: Rows, splits: Sequence[str]) -> list[MovedDocument]:
    contents = _contents(a, pairs[:, 0])
    documents = []
    for row, row_b in pairs.tolist():
        text, source, *_ = contents[row]
        split_a, split_b = splits[a.keys.splits[row]], splits[b.keys.splits[row_b]]
        documents.append(MovedDocument(a.id(row), source, _excerpt(text), split_a, split_b))
    return documents


def _excerpt(text: str, start: int = 0) -> str:
    return " ".join(text[start : start + _EXCERPT_CHARS].split())


def _contents(side: _Side, rows: Rows) -> dict[int, tuple[Any, ...]]:
    """Text, source, url, language and metadata of some rows; reads the row groups that hold them."""
    found: dict[int, tuple[Any, ...]] = {}
    holders = np.searchsorted(side.starts, rows, side="right") - 1
    for holder in np.unique(holders).tolist():
        wanted = rows[holders == holder]
        start = int(side.starts[holder])
        with pq.ParquetFile(side.artifact.open_part(side.parts[holder])) as file:
            for index in range(file.num_row_groups):
                stop = start + file.metadata.row_group(index).num_rows
                here = wanted[(wanted >= start) & (wanted < stop)]
                if len(here):
                    group = file.read_row_group(index, columns=["text", *_FIELDS]).take(here - start)
                    values = zip(*(group[name].to_pylist() for name in ("text", *_FIELDS)), strict=True)
                    found.update(zip(here.tolist(), values, strict=True))
                start = stop
    return found


def _reasons(artifact: Artifact, ids: Sequence[str]) -> dict[str, tuple[str, float | None, float | None]]:
    """What the ledger says of some documents: reason, value, threshold."""
    found: dict[str, tuple[str, float | None, float | None]] = {}
    wanted = pa.array(ids, pa.string())
    for part in artifact.parts("ledger/"):
        if len(found) == len(ids):
            break
        with open_columns(artifact, part) as file:
            for index in range(file.num_row_groups):
                group = file.read_row_group(index, columns=_LEDGER_COLUMNS)
                for row in group.filter(pc.is_in(group["id"], value_set=wanted)).to_pylist():
                    found[row["id"]] = (row["reason"], row["value"], row["threshold"])
    return found


def _num_by_reason(artifact: Artifact, ids: Words) -> dict[str, int]:
    """How many of some documents (in order of id) the ledger has for each reason, the most frequent first."""
    if not len(ids):
        return {}
    wanted = ids.astype(">u8").view("S16").ravel()  # equal as bytes where the numbers are, and in the same order
    numbers: dict[str, int] = {}
    found = np.zeros(len(wanted), np.uint16)  # the last row of a document: what came before did not drop it
    for part in artifact.parts("ledger/"):
        with open_columns(artifact, part) as file:
            for index in range(file.num_row_groups):
                group = file.read_row_group(index, columns=["id", "reason"])
                rows = _id_words(group["id"], f"{artifact.key}/{part.path}").astype(">u8").view("S16").ravel()
                places = np.searchsorted(wanted, rows).clip(max=len(wanted) - 1)
                reasons = pc.dictionary_encode(group["reason"]).combine_chunks()
                known = [numbers.setdefault(reason, len(numbers) + 1) for reason in reasons.dictionary.to_pylist()]
                is_wanted = wanted[places] == rows
                codes = reasons.indices.to_numpy(zero_copy_only=False)[is_wanted]
                found[places[is_wanted]] = np.array(known, np.uint16)[codes]
    counts = np.bincount(found, minlength=len(numbers) + 1)
    by_reason = {reason: int(counts[number]) for reason, number in numbers.items() if counts[number]}
    return dict(sorted(by_reason.items(), key=lambda item: (-item[1], item[0])))
