import gzip
import zlib

import brotli
import pytest
import zstandard

from pretrain.download import http_message
from pretrain.download.http_message import parse_response, without_chunks, without_coding
from pretrain.download.records import UnusableRecordError
from tests.download.crawls import http

BODY = b"<html>" + b"text " * 100


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))


@pytest.mark.parametrize(
    ("block", "status", "body"),
    [
        (http(b"abc"), 200, b"abc"),
        (b"HTTP/1.0 404 Not Found\r\n\r\nabc", 404, b"abc"),
        (b"HTTP/2 200\r\n\r\nabc", 200, b"abc"),
        (b"HTTP/1.1  200 OK\nX: y\n\nabc", 200, b"abc"),
        (b"HTTP/1.1 200 OK\r\nX: y", 200, b""),
        (http(b"\r\n\r\nabc"), 200, b"\r\n\r\nabc"),
        (http(chunked(b"ab", b"c"), "Transfer-Encoding: Chunked"), 200, b"abc"),
        (http(gzip.compress(b"abc", mtime=0), "content-encoding: GZIP"), 200, b"abc"),
        (
            http(chunked(gzip.compress(b"abc", mtime=0)), "Transfer-Encoding: chunked", "Content-Encoding: gzip"),
            200,
            b"abc",
        ),
        (http(gzip.compress(zlib.compress(b"abc"), mtime=0), "Content-Encoding: deflate, gzip"), 200, b"abc"),
    ],
)
def test_status_and_body(block, status, body):
    response = parse_response(block)
    assert (response.status, response.body) == (status, body)


@pytest.mark.parametrize(
    "block", [b"", b"abc", b"<html>", b"HTTP/1.1", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/1.1 2000 \r\n\r\n"]
)
def test_what_is_no_response(block):
    with pytest.raises(UnusableRecordError, match="bad_http_header"):
        parse_response(block)


def test_headers_without_an_end_are_no_response():
    with pytest.raises(UnusableRecordError, match="bad_http_header"):
        parse_response(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200_000)


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (chunked(BODY), BODY),
        (chunked(BODY[:5], BODY[5:]), BODY),
        (b"3;name=value\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n", b"abc"),
        (b"3\r\nabc\r\n5\r\nde", b"abcde"),  # cut
        (b"3\r\nabc\r\n", b"abc"),
        (BODY, BODY),  # undone by the crawler
        (b"5\r\nis a number", b"5\r\nis a number"),
        (b"", b""),
    ],
)
def test_chunks(body, payload):
    assert without_chunks(body) == payload


@pytest.mark.parametrize("body", [b"3\r\nabc\r\nxyz\r\nabc", b"3\r\nabc\r\n3\r\nabcdef\r\n"])
def test_chunks_that_break(body):
    with pytest.raises(UnusableRecordError, match="bad_chunking"):
        without_chunks(body)


@pytest.mark.parametrize(
    ("body", "coding", "payload"),
    [
        (gzip.compress(BODY, mtime=0), "gzip", BODY),
        (gzip.compress(BODY, mtime=0)[:-8], "x-gzip", BODY),
        (zlib.compress(BODY), "deflate", BODY),
        (zlib.compress(BODY)[2:-4], "deflate", BODY),
        (brotli.compress(BODY), "br", BODY),
        (zstandard.compress(BODY), "zstd", BODY),
        (BODY, "gzip", BODY),  # undone by the crawler
        (BODY, "deflate", BODY),
        (BODY, "br", BODY),
        (BODY, "zstd", BODY),
        (BODY, "identity", BODY),
        (b"", "br", b""),
    ],
)
def test_codings(body, coding, payload):
    assert without_coding(body, coding) == payload


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (b"\x1f\x8b\x08nonsense of some length", "gzip"),
        (b"\xff" * 100, "deflate"),
        (b"\xff" * 100, "br"),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 100, "zstd"),
        (BODY, "compress"),
        (BODY, "sdch"),
    ],
)
def test_codings_that_break(body, coding):
    with pytest.raises(UnusableRecordError, match="bad_content_encoding"):
        without_coding(body, coding)


@pytest.mark.parametrize(
    ("compress", "coding"),
    [(gzip.compress, "gzip"), (zlib.compress, "deflate"), (brotli.compress, "br"), (zstandard.compress, "zstd")],
)
def test_a_bomb_is_too_large(monkeypatch, compress, coding):
    monkeypatch.setattr(http_message, "MAX_RECORD_BYTES", 1000)
    assert without_coding(compress(b"\0" * 1000), coding) == b"\0" * 1000
    with pytest.raises(UnusableRecordError, match="too_large"):
        without_coding(compress(b"\0" * 100_000), coding)
