import gzip
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pretrain.download import crawl_records as module
from pretrain.download.crawl_records import Damage, crawl_records
from pretrain.external import external_file
from pretrain.filehash import FileHashes
from tests.download.crawls import arc, arc_header, html, members, warc, with_digest

PAGES = [html(f"<html><p>page {n}</p></html>".encode()) for n in range(4)]
RECORDS = [warc(page) for page in PAGES]


def read(folder: Path, data: bytes) -> list[tuple[str, str]]:
    """Each record as its type and place, each damage as its reason and place."""
    (folder / "a").write_bytes(data)
    file = external_file(folder / "a", "a", FileHashes(folder.parent / "hashes"))
    return [(r.reason if isinstance(r, Damage) else r.type, r.place) for r in crawl_records(file)]


def blocks(folder: Path, data: bytes) -> list[bytes | None]:
    (folder / "a").write_bytes(data)
    file = external_file(folder / "a", "a", FileHashes(folder.parent / "hashes"))
    return [record.block for record in crawl_records(file) if not isinstance(record, Damage)]


@pytest.mark.parametrize(
    "data",
    [
        b"".join(RECORDS),
        members(*RECORDS),
        gzip.compress(b"".join(RECORDS), mtime=0),
        zstandard.compress(b"".join(RECORDS)),
        b"".join(zstandard.compress(record) for record in RECORDS),
        b"".join(warc(page, version="1.0") for page in PAGES),
        b"".join(arc(page) for page in PAGES),
        members(*(arc(page) for page in PAGES)),
        members(*RECORDS) + b"\0" * 512,
        b"\r\n\r\n".join(RECORDS),
        b"".join(RECORDS).removesuffix(b"\r\n\r\n"),
    ],
)
def test_forms_of_one_crawl(folder: Path, data: bytes):
    assert blocks(folder, data) == PAGES


def test_places_are_bytes_of_the_file(folder: Path):
    first, second = gzip.compress(RECORDS[0], mtime=0), gzip.compress(RECORDS[1], mtime=0)
    size = len(RECORDS[0])
    assert read(folder, first + second) == [("response", "+0"), ("response", f"+{len(first)}")]
    assert read(folder, RECORDS[0] + RECORDS[1]) == [("response", "+0"), ("response", f"+{size}")]
    assert read(folder, gzip.compress(RECORDS[0] + RECORDS[1], mtime=0)) == [
        ("response", "+0"),
        ("response", f"+0/{size}"),
    ]


def test_only_captures_have_a_block(folder: Path):
    records = [warc(b"software: x", "warcinfo"), warc(b"GET /", "request"), warc(b"text", "conversion")]
    assert blocks(folder, b"".join(records)) == [b"", b"", b"text"]


def test_an_arc_file_names_its_fields_as_warc_does(folder: Path):
    (folder / "a").write_bytes(arc_header() + arc(PAGES[0], "http://example.com/a b"))
    file = external_file(folder / "a", "a", FileHashes(folder.parent / "hashes"))
    header, record = crawl_records(file)
    assert (header.type, record.type) == ("arc_header", "response")
    assert record.header("WARC-Target-URI") == "http://example.com/a b"
    assert record.header("WARC-Date") == "20260102030405"
    assert record.header("WARC-Record-ID") is None


@pytest.mark.parametrize("number", range(4))
def test_a_flipped_byte_costs_one_gzip_member(folder: Path, number):
    parts = [bytearray(gzip.compress(record, mtime=0)) for record in RECORDS]
    parts[number][len(parts[number]) // 2] ^= 0xFF
    found = read(folder, b"".join(parts))
    assert [kind for kind, _ in found[:number] + found[number + 1 :]] == ["response"] * 3
    assert found[number][0] in ("damaged_file", "bad_checksum", "damaged_record")
    assert found[number][1] == f"+{sum(map(len, parts[:number]))}"


def test_a_wrong_checksum_is_that_of_the_record_itself(folder: Path):
    first, second = bytearray(gzip.compress(RECORDS[0], mtime=0)), gzip.compress(RECORDS[1], mtime=0)
    first[-6] ^= 1
    assert read(folder, first + second) == [("bad_checksum", "+0"), ("response", f"+{len(first)}")]


def test_a_damaged_member_may_hide_others_that_begin_within_it(folder: Path):
    first, second, third = (gzip.compress(record, mtime=0) for record in RECORDS[:3])
    data = first[: len(first) // 2] + second + third  # the rest of the first was lost
    kinds = [kind for kind, _ in read(folder, data)]
    assert kinds[0] in ("damaged_file", "bad_checksum")
    assert kinds[1:] == ["response", "response"]


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
def test_what_lies_before_a_cut_is_kept(folder: Path, compress):
    data = compress(b"".join(RECORDS))
    kinds = [kind for kind, _ in read(folder, data[:-10])]
    assert set(kinds[:-1]) <= {"response"}
    assert kinds[-1] == "truncated_file"


def test_a_content_length_that_is_wrong_costs_that_record(folder: Path):
    short = RECORDS[1].replace(b"Content-Length: ", b"Content-Length: 1", 1)  # beyond its end, into the next
    size = len(RECORDS[0])
    long = warc(PAGES[1] + b"x" * 50).replace(str(len(PAGES[1]) + 50).encode(), str(len(PAGES[1])).encode(), 1)
    assert read(folder, RECORDS[0] + long + RECORDS[2]) == [
        ("response", "+0"),
        ("damaged_record", f"+{size}"),
        ("response", f"+{size + len(long)}"),
    ]
    kinds = [kind for kind, _ in read(folder, RECORDS[0] + short + b"".join(RECORDS) * 20)]
    assert kinds[:2] == ["response", "damaged_record"]
    assert kinds[2:] == ["response"] * (len(kinds) - 2)
    assert len(kinds) > 40


@pytest.mark.parametrize(
    "header",
    [
        b"WARC/1.1\r\nWARC-Type: response\r\n\r\n",
        b"WARC/1.1\r\nWARC-Type: response\r\nContent-Length: -1\r\n\r\n",
        b"WARC/1.1\r\nWARC-Type: response\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"WARC/1.1\r\nWARC-Type: response\r\nContent-Length: 1_0\r\n\r\n0123456789",
        b"WARC/1.1\r\nWARC-Type: response\r\nContent-Length: \xd9\xa3\r\n\r\nabc",
        b"WARC/1.1\r\n" + b"X: " + b"y" * (2 << 20) + b"\r\nContent-Length: 0\r\n\r\n",
        b"WARC/1.1\r\n" + b"X: y\r\n" * 400_000 + b"Content-Length: 0\r\n\r\n",
        b"WARC/1.1\r\n" + b"X: \r\n y\r\n" * 200_000 + b"Content-Length: 0\r\n\r\n",
        b"WARC/1.1\r\n\r\n",
        b"WARC/1.1\r\n\xff\xfe\x00: \x80\r\n\r\n",
        b"ftp://x 192.0.2.1 20260102030405 text/html abc\n",
        b"no header at all\r\n",
        b"\x00" * 1000 + b"\n",
    ],
)
def test_hostile_headers_cost_no_more_than_themselves(folder: Path, header: bytes):
    data = RECORDS[0] + header + b"\r\n\r\n" + RECORDS[1]
    kinds = [kind for kind, _ in read(folder, data)]
    assert kinds[0] == kinds[-1] == "response"
    assert set(kinds[1:-1]) <= {"damaged_record"}
    assert len(kinds) == 3


def test_a_block_is_held_against_its_digest(folder: Path):
    good, bad = warc(PAGES[0], "response", with_digest(PAGES[0])), warc(PAGES[0], "response", with_digest(PAGES[1]))
    hexadecimal = warc(b"abc", "conversion", "WARC-Block-Digest: md5:900150983cd24fb0d6963f7d28e17f72")
    unknown = warc(PAGES[0], "response", "WARC-Block-Digest: crc:abc")
    kinds = [kind for kind, _ in read(folder, good + bad + hexadecimal + unknown)]
    assert kinds == ["response", "bad_checksum", "conversion", "response"]


def test_a_record_that_is_too_large_is_passed_by(folder: Path, monkeypatch):
    monkeypatch.setattr(module, "MAX_RECORD_BYTES", 1000)
    large = warc(html(b"x" * 1000))
    assert blocks(folder, RECORDS[0] + large + RECORDS[1]) == [PAGES[0], None, PAGES[1]]


def test_an_empty_file_has_no_record(folder: Path):
    assert read(folder, b"") == read(folder, gzip.compress(b"", mtime=0)) == []


FILES = [b"".join(RECORDS), members(*RECORDS), gzip.compress(b"".join(RECORDS), mtime=0), b"".join(map(arc, PAGES))]


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(FILES)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["flip", "cut", "noise", "drop", "splice"]))
        if kind == "flip" and at < len(data):
            data[at] ^= draw(st.integers(1, 255))
        elif kind == "cut":
            del data[at:]
        elif kind == "noise":
            data[at:at] = draw(st.binary(max_size=64))
        elif kind == "drop":
            del data[at : at + draw(st.integers(1, 200))]
        else:
            other = draw(st.sampled_from(FILES))
            data[at:at] = other[draw(st.integers(0, len(other))) :]
    return bytes(data)


@given(data=broken())
@settings(max_examples=200, deadline=10_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_broken_files_neither_crash_nor_hang_and_places_ascend(folder: Path, data: bytes):
    found = read(folder, data)
    places = [tuple(map(int, place[1:].split("/"))) for _, place in found]
    assert places == sorted(places)
    assert found == read(folder, data)
    if not found:
        assert not data.strip(b"\0\r\n") or gzip_is_empty(data)


def gzip_is_empty(data: bytes) -> bool:
    return data[:2] == b"\x1f\x8b"
