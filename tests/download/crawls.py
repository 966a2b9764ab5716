"""Crawl files made by hand."""

import base64
import gzip
import hashlib

PARAGRAPH = "The quick brown fox jumps over the lazy dog while the band plays a slow song for the crowd. " * 3


def page(text: str = PARAGRAPH, head: str = "") -> bytes:
    """A small web page with one paragraph of main text."""
    return f"<!DOCTYPE html><html><head>{head}</head><body><article><p>{text}</p></article></body></html>".encode()


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A response as it came over the wire."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


def html(body: bytes | None = None) -> bytes:
    """A response that is a web page."""
    return http(page() if body is None else body, "Content-Type: text/html; charset=utf-8")


def warc(block: bytes, record_type: str = "response", *headers: str, version: str = "1.1") -> bytes:
    """One WARC record."""
    lines = [
        f"WARC/{version}",
        f"WARC-Type: {record_type}",
        "WARC-Record-ID: <urn:uuid:1>",
        "WARC-Date: 2026-01-02T03:04:05Z",
        "WARC-Target-URI: http://example.com/",
        *headers,
        f"Content-Length: {len(block)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + block + b"\r\n\r\n"


def with_digest(block: bytes) -> str:
    """The header field with the digest of a block."""
    return f"WARC-Block-Digest: sha1:{base64.b32encode(hashlib.sha1(block).digest()).decode()}"


def arc(block: bytes, uri: str = "http://example.com/") -> bytes:
    """One ARC record."""
    return f"{uri} 192.0.2.1 20260102030405 text/html {len(block)}\n".encode() + block + b"\n"


def arc_header() -> bytes:
    """The record that an ARC file begins with."""
    block = b"1 0 Maker\nURL IP-address Archive-date Content-type Archive-length\n"
    return f"filedesc://a.arc 192.0.2.1 20260102030405 text/plain {len(block)}\n".encode() + block + b"\n"


def members(*records: bytes) -> bytes:
    """Each record as a gzip member of its own."""
    return b"".join(gzip.compress(record, mtime=0) for record in records)
