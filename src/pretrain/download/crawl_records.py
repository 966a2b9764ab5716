"""The records of a crawl file: WARC 1.0 and 1.1 (ISO 28500:2017), ARC 1.0; one in memory at a time.

warcio parses headers. What it leaves to luck is checked here: lengths, ends and digests of records, and the size of
headers. After damage the reading goes on at the next gzip member, or at the next line that can only begin a record.
"""

import base64
import binascii
import hashlib
import logging
import re
from collections.abc import Iterator
from typing import NamedTuple

from warcio.exceptions import ArchiveLoadFailed
from warcio.recordloader import ArcWarcRecord, ArcWarcRecordLoader
from warcio.statusandheaders import StatusAndHeaders, StatusAndHeadersParserException

from pretrain.download.content import CHUNK_BYTES, UnreadableContentError
from pretrain.download.crawl_stream import CrawlStream
from pretrain.download.records import MAX_RECORD_BYTES
from pretrain.external import ExternalFile

WARC_MAGIC = b"WARC/"
ARC_MAGIC = b"filedesc://"
MAX_HEADER_BYTES = 1 << 20

# The types whose content may become a document; the others are read past.
CAPTURES = frozenset({"response", "conversion"})

_ARC_LINE = re.compile(rb"[a-z][a-z0-9+.-]*:\S.* \S+ \d{8,18} \S+ \S+\s*")
_WARC_LINE = re.compile(rb"WARC/\d+\.\d+\s*")
_ARC_MEMBERS = (b"http://", b"https://", b"ftp://", b"dns:", ARC_MAGIC)
_LENGTH = re.compile(r"\s*\d{1,18}\s*")
_DIGESTS = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha512": hashlib.sha512, "md5": hashlib.md5}


class CrawlRecord(NamedTuple):
    """One record.

    Attributes:
        place: where it begins, as evidence names it.
        type: `response`, `request`, `revisit`, `warcinfo` ...; of ARC `response` or `arc_header`.
        headers: its named fields, by the names of WARC.
        block: its content: all of it for captures, nothing for other types; None where it is too large.
    """

    place: str
    type: str
    headers: StatusAndHeaders
    block: bytes | None

    def header(self, name: str) -> str | None:
        """The value of a named field."""
        value = self.headers.get_header(name)
        return None if value is None else str(value)


class Damage(NamedTuple):
    """A record, or a stretch of a file, that is none, and the reason."""

    place: str
    reason: str


class _DamageError(Exception):
    """The record being read is damaged; `args[0]` is the reason."""


class _Lines:
    """The stream as warcio reads headers from it: line by line, up to a size in total."""

    def __init__(self, stream: CrawlStream) -> None:
        self._stream = stream
        self._left = MAX_HEADER_BYTES

    def readline(self) -> bytes:
        line = self._stream.readline(self._left)
        self._left -= len(line)
        if not line:
            raise _DamageError("damaged_record" if self._left <= 0 else "truncated_file")
        return line


def crawl_records(file: ExternalFile) -> Iterator[CrawlRecord | Damage]:
    """The records of a crawl file in their order, and what is damaged between them.

    Raises:
        InputError: the file was changed, removed or cannot be read.
        StageError: a remote file could not be read to its end.
    """
    with CrawlStream(file) as stream:
        yield from _Records(stream)


class _Records:
    def __init__(self, stream: CrawlStream) -> None:
        self._stream = stream
        self._loader = ArcWarcRecordLoader(arc2warc=False)
        # it warns of every space in an address, on the terminal where nobody listens
        logging.getLogger("warcio.recordloader").setLevel(logging.ERROR)
        self._line = b""  # the first line of the next record
        self._place = ""  # and where that is

    def __iter__(self) -> Iterator[CrawlRecord | Damage]:
        is_more = True
        try:
            self._find_line()
        except UnreadableContentError as error:
            yield Damage(self._place, str(error))
            is_more = self._recover()
        while is_more and self._line:
            place, offset = self._place, self._stream.offset
            later = None
            try:
                record = self._read()
            except (_DamageError, UnreadableContentError) as error:
                yield Damage(place, str(error))
                is_more = self._recover()
                continue
            try:
                self._find_line()
            except UnreadableContentError as error:
                later = Damage(self._stream.offset.place, str(error))
            if later is None and self._line and not _begins_record(self._line):
                yield Damage(place, "damaged_record")  # its Content-Length is wrong
                is_more = self._recover()
            elif later is None:
                yield record
            elif self._is_own_member(place, offset.file):
                yield Damage(place, later.reason)  # the bytes are there, their checksum is wrong
                is_more = self._recover()
            else:
                yield record
                yield later
                is_more = self._recover()

    def _is_own_member(self, place: str, member: int) -> bool:
        """Whether the record began a gzip member, and the stream is still in it."""
        return "/" not in place and self._stream.is_gzip and self._stream.offset.file == member

    def _find_line(self) -> None:
        """Goes to the next line that is not blank: `_line`, empty at the end of the file."""
        self._line = b""
        while self._stream.peek():
            self._place = self._stream.offset.place
            line = self._stream.readline(MAX_HEADER_BYTES)
            if line.strip():
                self._line = line
                return

    def _read(self) -> CrawlRecord:
        """The record that `_line` begins."""
        record = self._parse_headers()
        length = record.rec_headers.get_header("length" if record.format == "arc" else "Content-Length")
        if length is None or not _LENGTH.fullmatch(length):
            raise _DamageError("damaged_record")
        record_type = str(record.rec_type or "").strip().lower()
        block = self._read_block(record.length, record_type in CAPTURES)
        headers = _named_as_in_warc(record)
        if block and _has_wrong_digest(headers, block):
            raise _DamageError("bad_checksum")
        return CrawlRecord(self._place, record_type, headers, block)

    def _parse_headers(self) -> ArcWarcRecord:
        if not _begins_record(self._line):
            raise _DamageError("damaged_record")
        try:
            return self._loader.parse_record_stream(_Lines(self._stream), self._line, no_record_parse=True)
        except (ArchiveLoadFailed, StatusAndHeadersParserException, EOFError, ValueError):
            raise _DamageError("damaged_record") from None

    def _read_block(self, length: int, is_wanted: bool) -> bytes | None:
        held: list[bytes] = []
        left = length
        while left:
            data = self._stream.read(min(left, CHUNK_BYTES))
            if not data:
                raise _DamageError("truncated_file")
            left -= len(data)
            if is_wanted and length <= MAX_RECORD_BYTES:
                held.append(data)
        return None if is_wanted and length > MAX_RECORD_BYTES else b"".join(held)

    def _recover(self) -> bool:
        """Goes to the next record after damage; whether there may be one."""
        while True:
            try:
                if not self._stream.peek() and not self._stream.find_member((WARC_MAGIC, *_ARC_MEMBERS)):
                    return False
                self._find_line()
                while self._line and not _begins_record(self._line):
                    self._find_line()
                if self._line:
                    return True
            except UnreadableContentError:
                self._line = b""


def _begins_record(line: bytes) -> bool:
    return bool(_WARC_LINE.fullmatch(line) or _ARC_LINE.fullmatch(line))


def _named_as_in_warc(record: ArcWarcRecord) -> StatusAndHeaders:
    """The named fields; those of ARC by their names in WARC."""
    if record.format != "arc":
        return record.rec_headers
    names = {"uri": "WARC-Target-URI", "archive-date": "WARC-Date", "content-type": "WARC-Identified-Payload-Type"}
    pairs = [(names[name], value) for name, value in record.rec_headers.headers if name in names]
    return StatusAndHeaders("", pairs, protocol="ARC/1.0")


def _has_wrong_digest(headers: StatusAndHeaders, block: bytes) -> bool:
    """Whether the block is not the one that its digest was taken of; digests of other kinds tell nothing."""
    algorithm, _, value = str(headers.get_header("WARC-Block-Digest") or "").strip().partition(":")
    make = _DIGESTS.get(algorithm.lower().replace("-", ""))
    if make is None:
        return False
    digest = make(block).digest()
    if len(value) == 2 * len(digest):
        return value.lower() != digest.hex()
    try:
        return base64.b32decode(value.upper() + "=" * (-len(value) % 8)) != digest
    except (binascii.Error, ValueError):
        return True
