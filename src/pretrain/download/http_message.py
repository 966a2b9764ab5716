"""An HTTP response as a crawler stored it: status, header fields, and the body without its transfer encodings.

Crawlers keep what came over the wire, or undo chunks and compression and keep the header fields that speak of them.
So a body that is not what its header says is taken as it is, as long as it does not begin as if it were.
"""

import re
import zlib
from io import BytesIO
from typing import Any, NamedTuple

import brotli
import zstandard
from warcio.statusandheaders import StatusAndHeaders, StatusAndHeadersParser

from pretrain.download.records import MAX_RECORD_BYTES, UnusableRecordError

_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})(?!\d)")
_CHUNK_HEADER = re.compile(rb"[ \t]*([0-9a-fA-F]{1,16})[ \t]*(?:;[^\n]*)?\r?\n")
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_MAX_HEADER_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class Response(NamedTuple):
    """The response of a server.

    Attributes:
        status: 100 to 999.
        headers: its header fields.
        body: the payload as the server had it; of a body that was cut, what there is.
    """

    status: int
    headers: StatusAndHeaders
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header field."""
        value = self.headers.get_header(name)
        return None if value is None else str(value).strip()


def parse_response(block: bytes) -> Response:
    """The response in the block of a record; bodies of failures (status other than 200) are left as they are.

    Raises:
        UnusableRecordError: `bad_http_header`, `bad_chunking`, `bad_content_encoding`, or `too_large` for a body that
            swells to more than 64 MiB.
    """
    line = _STATUS_LINE.match(block)
    if line is None:
        raise UnusableRecordError("bad_http_header")
    end = _END_OF_HEADERS.search(block, 0, _MAX_HEADER_BYTES)
    if end is None and len(block) > _MAX_HEADER_BYTES:
        raise UnusableRecordError("bad_http_header")
    head, body = (block[: end.end()], block[end.end() :]) if end else (block, b"")
    headers = StatusAndHeadersParser([], verify=False).parse(BytesIO(head))
    response = Response(int(line[1]), headers, body)
    if response.status != 200:
        return response
    if "chunked" in (response.header("Transfer-Encoding") or "").lower():
        body = without_chunks(body)
    codings = [coding.strip().lower() for coding in (response.header("Content-Encoding") or "").split(",")]
    for coding in reversed(codings):
        body = without_coding(body, coding)
    return response._replace(body=body)


def without_chunks(body: bytes) -> bytes:
    """The payload of a chunked body (RFC 9112, section 7.1), or of one that ends early what there is.

    Raises:
        UnusableRecordError: `bad_chunking` where the body begins with a chunk, and another does not follow it.
    """
    chunks: list[bytes] = []
    at = 0
    while at < len(body):
        header = _CHUNK_HEADER.match(body, at)
        if header is None:
            if not at:
                return body  # the crawler undid the chunks
            raise UnusableRecordError("bad_chunking")
        size = int(header[1], 16)
        if not size:
            break
        chunks.append(body[header.end() : header.end() + size])
        at = header.end() + size
        if body[at : at + 2] == b"\r\n":
            at += 2
        elif at < len(body):
            if len(chunks) == 1:
                return body  # a page that begins with a number
            raise UnusableRecordError("bad_chunking")
    return b"".join(chunks)


def without_coding(body: bytes, coding: str) -> bytes:
    """The payload of a compressed body (RFC 9110, section 8.4.1), or of one that ends early what there is.

    Raises:
        UnusableRecordError: `bad_content_encoding` or `too_large`.
    """
    if coding in ("", "identity") or not body:
        return body
    if coding in ("gzip", "x-gzip"):
        return _inflate(body, 31) if body.startswith(_GZIP_MAGIC) else body
    if coding == "deflate":
        return _deflate(body)
    if coding == "zstd":
        return _unzstd(body) if body.startswith(_ZSTD_MAGIC) else body
    if coding == "br":
        return _unbrotli(body)
    raise UnusableRecordError("bad_content_encoding")


def _deflate(body: bytes) -> bytes:
    """With the header of zlib, as the standard has it, or without, as some servers do."""
    try:
        return _inflate(body, zlib.MAX_WBITS)
    except UnusableRecordError as error:
        if str(error) == "too_large":
            raise
    try:
        return _inflate(body, -zlib.MAX_WBITS)
    except UnusableRecordError:
        if _is_markup(body):
            return body
        raise


def _inflate(body: bytes, wbits: int) -> bytes:
    try:
        return _bounded(zlib.decompressobj(wbits).decompress(body, MAX_RECORD_BYTES + 1))
    except zlib.error:
        raise UnusableRecordError("bad_content_encoding") from None


def _unzstd(body: bytes) -> bytes:
    try:
        with zstandard.ZstdDecompressor(max_window_size=8 << 20).stream_reader(body) as reader:
            return _bounded(reader.read(MAX_RECORD_BYTES + 1))
    except zstandard.ZstdError:
        raise UnusableRecordError("bad_content_encoding") from None


def _unbrotli(body: bytes) -> bytes:
    decoder: Any = brotli.Decompressor()
    try:
        return _bounded(decoder.process(body, output_buffer_limit=MAX_RECORD_BYTES + 1))
    except brotli.error:
        if _is_markup(body):  # brotli has no magic to tell it by
            return body
        raise UnusableRecordError("bad_content_encoding") from None


def _is_markup(body: bytes) -> bool:
    return body.lstrip()[:1] == b"<"


def _bounded(payload: bytes) -> bytes:
    if len(payload) > MAX_RECORD_BYTES:
        raise UnusableRecordError("too_large")
    return payload
