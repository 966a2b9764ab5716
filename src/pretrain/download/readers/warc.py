"""Crawl files: WARC (response records), WET (conversion records) and ARC, as they are or compressed.

A page's main text is found by the source's extractor; text/plain and WET are kept as they are. A document's address is
WARC-Target-URI, unless `url_key` says otherwise. The fields of a record are `record_id`, `date`, `content_type`,
`http_status`, `content_language`, `identified_languages`, `payload_digest` and `truncated` (why the crawler kept a part
only), those that the file gives.

What is out of the ordinary, and its outcome; what is skipped is no sign of a damaged source:

    request, warcinfo, metadata, continuation      no record (so WAT files have none); positions count them
    revisit: the page is that of another capture   revisit, skipped
    resource: a crawler's logs, lists, pictures    resource, skipped
    a type that the standard does not know         unknown_record_type, skipped
    a status other than 200                        http_status, skipped; the value is the status
    neither HTML nor text/plain, by its bytes      not_html, skipped
    nothing in it, or no main text                 no_main_text, skipped
    no HTTP status line                            bad_http_header
    a chunk that another does not follow           bad_chunking
    an unknown or broken Content-Encoding          bad_content_encoding
    chunks or compression that the crawler undid   text: the header field is what is wrong
    a block that its digest does not fit           bad_checksum
    a page in parts (WARC-Segment-Number)          segmented_record
    more than 64 MiB                               too_large
    the extractor takes too long, or dies of it    extract_timeout, extract_failed
    no header, or a Content-Length that is wrong   damaged_record, up to where a record can only begin
    a damaged gzip member                          damaged_file or bad_checksum, up to the next member
    the end is missing                             truncated_file
"""

from collections.abc import Iterator
from typing import Any

from pretrain.download.config import Source
from pretrain.download.crawl_records import CrawlRecord, Damage, crawl_records
from pretrain.download.extraction import TextExtractor
from pretrain.download.http_message import Response, parse_response
from pretrain.download.records import ReadResult, Record, Skipped, Unreadable, UnusableRecordError
from pretrain.download.web_text import decode, media_type
from pretrain.external import ExternalFile

_NO_CAPTURES = frozenset({"request", "warcinfo", "metadata", "continuation", "arc_header"})
_METADATA = {
    "record_id": "WARC-Record-ID",
    "date": "WARC-Date",
    "payload_digest": "WARC-Payload-Digest",
    "truncated": "WARC-Truncated",
}


class _SkipError(Exception):
    """A capture that is no document by its nature: the reason, and a value if there is one."""

    def __init__(self, reason: str, value: float | None = None) -> None:
        super().__init__(reason)
        self.value = value


def read_warc(file: ExternalFile, source: Source, extractor: TextExtractor) -> Iterator[ReadResult]:
    """The captures of a crawl file; positions are record numbers from 0, places bytes of the file.

    Raises:
        SubprocessError: the extractor cannot be started.
    """
    for position, record in enumerate(crawl_records(file)):
        if isinstance(record, Damage):
            yield Unreadable(position, record.place, record.reason)
        elif record.type not in _NO_CAPTURES:
            try:
                fields = _fields(record, source, extractor)
                yield Record(position, record.place, fields, record.header("WARC-Target-URI"))
            except UnusableRecordError as error:
                yield Unreadable(position, record.place, str(error))
            except _SkipError as skip:
                yield Skipped(position, record.place, str(skip), skip.value)


def _fields(record: CrawlRecord, source: Source, extractor: TextExtractor) -> dict[str, Any]:
    if record.type not in ("response", "conversion"):
        raise _SkipError(record.type if record.type in ("revisit", "resource") else "unknown_record_type")
    if record.block is None:
        raise UnusableRecordError("too_large")
    if record.header("WARC-Segment-Number"):
        raise UnusableRecordError("segmented_record")
    response = None
    if record.type == "conversion":
        content_type = record.header("Content-Type")
        text = _not_blank(decode(record.block, content_type, is_html=False))
    else:
        if not _is_http(record):
            raise _SkipError("not_html")
        response = parse_response(record.block)
        content_type = response.header("Content-Type")
        text = _text_of_response(response, extractor)
    fields = {
        source.text_key: text,
        **{name: record.header(field) for name, field in _METADATA.items()},
        "content_type": content_type,
        "http_status": response.status if response else None,
        "content_language": response.header("Content-Language") if response else None,
        "identified_languages": record.header("WARC-Identified-Content-Language"),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _is_http(record: CrawlRecord) -> bool:
    """Not what a crawler noted of DNS, nor a file of an FTP server."""
    return (record.header("WARC-Target-URI") or "http:").lower().startswith(("http:", "https:"))


def _text_of_response(response: Response, extractor: TextExtractor) -> str:
    if response.status != 200:
        raise _SkipError("http_status", response.status)
    return _text(response.body, response.header("Content-Type"), extractor)


def _text(body: bytes, content_type: str | None, extractor: TextExtractor) -> str:
    kind = media_type(content_type, body)
    if kind == "other":
        raise _SkipError("not_html")
    characters = decode(body, content_type, is_html=kind == "html")
    return _not_blank(extractor.extract(characters) if kind == "html" else characters)


def _not_blank(text: str | None) -> str:
    if text is None or not text.strip():
        raise _SkipError("no_main_text")
    return text
