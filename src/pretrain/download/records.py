"""One raw record to one document, or to the ledger row that says why it is none.

What happens to unusual input, once for all formats:

    the text is absent or null                      missing_text
    it is a number, list, object ...                not_a_string
    it is empty or only white space                 empty_text
    it holds a lone surrogate, or bytes not UTF-8   invalid_utf8: no file could hold it
    it holds NUL, U+2028, CRLF, a BOM inside        kept as it is; filters decide
    another field holds a lone surrogate            kept, the surrogate replaced by U+FFFD
    metadata nests deeper than 254 levels           too_deep (the limit of orjson, for whatever way it is written)
"""

import base64
import json
import re
from typing import Any, NamedTuple

import orjson

from pretrain.documents import Document, LedgerRow, document_id
from pretrain.download.config import Source
from pretrain.download.fields import find_field, put_field, take_field

# The largest record of any format, in bytes of the decompressed file; a longer one is `too_large`.
MAX_RECORD_BYTES = 64 << 20
# Objects and arrays inside one another, the outermost counted. What is deeper, orjson does not write, and Python's
# json reads or not by how deep its caller's stack is.
MAX_LEVELS = 254

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Record(NamedTuple):
    """One readable record of a file.

    Attributes:
        position: 0-based place in the file (line, row); ids rest on it.
        place: how evidence names it after the file's name: `:12` (line, from 1), `@11` (row, from 0) or `+96` (byte).
        fields: the record's fields by name.
        url: the document's address where no `url_key` is given.
    """

    position: int
    place: str
    fields: dict[str, Any]
    url: str | None = None


class Unreadable(NamedTuple):
    """A record, or the rest of a file, that could not be read, and why (a snake_case reason)."""

    position: int
    place: str
    reason: str


class Skipped(NamedTuple):
    """A record that is no document by its nature, such as a crawl's revisit or a picture in a source tree.

    It gets a ledger row like an `Unreadable`, but is no sign of a damaged source: `max_bad_fraction` leaves it
    out. A reader gives no reason to both. `value` is what the ledger shows as measured, such as an HTTP status.
    """

    position: int
    place: str
    reason: str
    value: float | None = None


# What a reader makes of one record.
ReadResult = Record | Unreadable | Skipped


def line_place(position: int) -> str:
    """`:<line>`, counted from 1 as editors do."""
    return f":{position + 1}"


def row_place(position: int) -> str:
    """`@<row>`, counted from 0 as tables do."""
    return f"@{position}"


def byte_place(offset: int, inner: int = 0) -> str:
    """`+<byte>` of the file, or `+<byte>/<inner>`: a byte of what is compressed there."""
    return f"+{offset}/{inner}" if inner else f"+{offset}"


class UnusableRecordError(ValueError):
    """A record that cannot become a document; `args[0]` is the reason. Never leaves this package."""


def to_row(record: ReadResult, source: Source, file: str) -> Document | LedgerRow:
    """The document that a record is, or its ledger row."""
    key = document_id(source.name, file, record.position)
    try:
        if not isinstance(record, Record):
            raise UnusableRecordError(record.reason)
        return _document(key, record, source)
    except UnusableRecordError as error:
        evidence = f"{file}{record.place}"
        value = record.value if isinstance(record, Skipped) else None
        return LedgerRow(key, source.name, "download", str(error), value, evidence=evidence)


def license_of(record: Record, source: Source) -> str | None:
    """The licence of a record: its own, else the source's; None where neither names one as text."""
    value = _license(record.fields, source)
    return value if isinstance(value, str) else None


def _document(key: str, record: Record, source: Source) -> Document:
    fields = dict(record.fields)
    text = _text(take_field(fields, source.text_key))
    url = record.url if source.url_key is None else _take_string(fields, source.url_key)
    lang = _take_string(fields, source.lang_key)
    own_id = find_field(fields, source.id_key) if source.id_key is not None else None
    if source.id_key is not None and own_id is not None:
        take_field(fields, source.id_key)
    license_value = _license(fields, source)
    if license_value is not None:
        take_field(fields, source.license_key)
    if source.columns is not None:
        fields = {name: value for name, value in fields.items() if name in source.columns}
    if own_id is not None:
        put_field(fields, "source_id", own_id)
    if license_value is not None:
        put_field(fields, "license", license_value)
    return Document(key, text, source.name, url, lang, metadata_json(fields) if fields else None)


def _license(fields: dict[str, Any], source: Source) -> Any:
    """The licence field, or the source's licence where that is absent, null or blank (an empty cell of CSV)."""
    value = find_field(fields, source.license_key)
    is_blank = value is None or (isinstance(value, str) and not value.strip())
    return source.license if is_blank else value


def _text(value: Any) -> str:
    if value is None:
        raise UnusableRecordError("missing_text")
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            raise UnusableRecordError("invalid_utf8") from None
    if not isinstance(value, str):
        raise UnusableRecordError("not_a_string")
    if not value or value.isspace():
        raise UnusableRecordError("empty_text")
    if not _is_unicode(value):
        raise UnusableRecordError("invalid_utf8")
    return value


def _is_unicode(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _take_string(fields: dict[str, Any], key: str | None) -> str | None:
    """Takes a string field out of `fields`; a value of another type stays there, for metadata."""
    value = find_field(fields, key) if key is not None else None
    if key is None or not isinstance(value, str) or not _is_unicode(value):
        return None
    take_field(fields, key)
    return value


def metadata_json(fields: dict[str, Any]) -> str:
    """The fields as one JSON object, in their order, non-finite numbers as null.

    Raises:
        UnusableRecordError: `too_deep`.
    """
    try:
        return orjson.dumps(fields, default=_plain).decode()
    except orjson.JSONEncodeError as error:
        if "ecursion" in str(error) or _is_too_deep(fields):
            raise UnusableRecordError("too_deep") from None
    # Lone surrogates and integers beyond 64 bits, which orjson refuses and JSON allows.
    text = json.dumps(fields, default=_plain, ensure_ascii=False, separators=(",", ":"))
    return _LONE_SURROGATE.sub("\ufffd", text)


def _is_too_deep(value: Any) -> bool:
    """Whether containers nest more than `MAX_LEVELS` levels; found without recursion."""
    level = [value]
    for _ in range(MAX_LEVELS):
        inner = (item for outer in level for item in (outer.values() if isinstance(outer, dict) else outer))
        level = [item for item in inner if isinstance(item, dict | list | tuple)]
        if not level:
            return False
    return True


def _plain(value: Any) -> Any:
    """What stands in JSON for a value of a table or dataset that JSON has no type for."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if type(value).__name__ in ("Decimal", "UUID", "timedelta"):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return value.tolist()
    return f"<{type(value).__name__}>"  # an image, an audio decoder: its repr would name a memory address
