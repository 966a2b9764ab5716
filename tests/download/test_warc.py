import functools
import gzip
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pretrain.documents import Document
from pretrain.download import crawl_records
from pretrain.download.config import Source
from pretrain.download.extraction import TextExtractor
from pretrain.download.formats import read_records
from pretrain.download.records import to_row
from pretrain.external import external_file
from pretrain.filehash import FileHashes
from pretrain.runner import LocalRunner
from tests.download.crawls import PARAGRAPH, arc, arc_header, html, http, members, page, warc, with_digest
from tests.download.downloading import Downloaded, download

SHARED = Path(os.environ.get("PRETRAIN_SHARED_DATA", Path(__file__).parents[2] / "../shared/data")) / "warc"
FAST = {"html": {"extractor": "resiliparse"}}
TEXT = "Content-Type: text/plain; charset=utf-8"


def crawl(folder: Path, *records: bytes) -> Downloaded:
    (folder / "a.warc").write_bytes(b"".join(records))
    return download(folder, {"uri": "a.warc", **FAST})


def test_a_page_becomes_a_document_with_what_the_crawler_knew(folder: Path):
    block = http(page(), "Content-Type: text/html", "Content-Language: en")
    headers = ["WARC-Payload-Digest: sha1:X", "WARC-Truncated: length", with_digest(block)]
    (document,) = crawl(folder, warc(b"", "warcinfo"), warc(block, "response", *headers)).documents
    assert document.text.strip() == PARAGRAPH.strip()
    assert document.url == "http://example.com/"
    assert json.loads(document.metadata or "") == {
        "record_id": "<urn:uuid:1>",
        "date": "2026-01-02T03:04:05Z",
        "payload_digest": "sha1:X",
        "truncated": "length",
        "content_type": "text/html",
        "http_status": 200,
        "content_language": "en",
    }


def test_plain_text_and_wet_are_kept_as_they_are(folder: Path):
    plain = " Not a <b>tag</b>\r\n\n  to be taken out. "
    wet = "<html> says the first line of a\n WET record"
    result = crawl(folder, warc(http(plain.encode(), TEXT)), warc(wet.encode(), "conversion", TEXT))
    assert result.texts == [plain, wet]


@pytest.mark.parametrize(
    ("record", "reason", "value"),
    [
        (warc(b"", "revisit"), "revisit", None),
        (warc(b"a log", "resource", TEXT), "resource", None),
        (warc(b"", "responsibility"), "unknown_record_type", None),
        (warc(http(b"", status="404 Not Found")), "http_status", 404.0),
        (warc(http(b"", "Transfer-Encoding: chunked", status="301 Moved")), "http_status", 301.0),
        (warc(http(b"\x89PNG\r\n\x1a\n\0", "Content-Type: image/png")), "not_html", None),
        (warc(http(b"\x89PNG\r\n\x1a\n\0", "Content-Type: text/html")), "not_html", None),
        (warc(http(b"{}", "Content-Type: application/json")), "not_html", None),
        (warc(b"198.51.100.1").replace(b"http://example.com/", b"dns:example.com"), "not_html", None),
        (warc(html(b"<html><body></body></html>")), "no_main_text", None),
        (warc(html(b"")), "no_main_text", None),
        (warc(http(b" \n", TEXT)), "no_main_text", None),
        (warc(b"", "conversion"), "no_main_text", None),
    ],
)
def test_what_is_skipped_is_no_damage(folder: Path, record: bytes, reason, value):
    kept = warc(http(b"kept", TEXT))
    (folder / "a.warc").write_bytes(kept + record + kept)
    result = download(folder, {"uri": "a.warc", **FAST}, max_bad_fraction=0.0)
    assert result.texts == ["kept", "kept"]
    assert [(row.reason, row.value, row.evidence) for row in result.ledger] == [(reason, value, f"a.warc+{len(kept)}")]
    assert result.stats["skipped_by_source"] == {"s0": {reason: 1}}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (warc(b"<html>"), "bad_http_header"),
        (warc(http(b"3\r\nabc\r\nxyz", "Transfer-Encoding: chunked", TEXT)), "bad_chunking"),
        (warc(http(b"\xff" * 99, "Content-Encoding: br", TEXT)), "bad_content_encoding"),
        (warc(http(b"a", TEXT), "response", with_digest(b"b")), "bad_checksum"),
        (warc(http(b"a", TEXT), "response", "WARC-Segment-Number: 1"), "segmented_record"),
        (warc(http(b"a" * 2000, TEXT)), "too_large"),
        (b"garbage\r\n\r\n", "damaged_record"),
    ],
)
def test_what_is_damaged_costs_itself_alone(folder: Path, monkeypatch, record: bytes, reason):
    monkeypatch.setattr(crawl_records, "MAX_RECORD_BYTES", 1000)
    kept = warc(http(b"kept", TEXT))
    result = crawl(folder, kept, record, kept)
    assert result.texts == ["kept", "kept"]
    assert result.reasons == [(reason, f"a.warc+{len(kept)}")]
    assert result.stats["skipped_by_source"] == {"s0": {}}


def test_requests_and_the_like_are_no_records_of_the_source(folder: Path):
    others = [warc(b"x", kind) for kind in ("warcinfo", "request", "metadata", "continuation")]
    result = crawl(folder, *others, warc(http(b"a", TEXT)))
    assert result.stats["documents_in"] == 1
    assert result.ledger == []


def test_url_key_says_otherwise(folder: Path):
    (folder / "a.warc").write_bytes(warc(http(b"a", TEXT)))
    (document,) = download(folder, {"uri": "a.warc", "url_key": "record_id", "lang_key": "content_type"}).documents
    assert (document.url, document.lang) == ("<urn:uuid:1>", "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a", warc(http(b"a", TEXT))),
        ("a.txt", members(warc(http(b"a", TEXT)))),
        ("a.json", arc_header() + arc(http(b"a", TEXT))),
        ("a.csv.gz", members(arc_header(), arc(http(b"a", TEXT)))),
        ("a.arc", arc(http(b"a", TEXT))),
    ],
)
def test_crawl_files_are_known_by_content(folder: Path, name, data):
    (folder / name).write_bytes(data)
    assert download(folder, {"uri": name}).texts == ["a"]


def test_web_pages_as_files(folder: Path):
    (folder / "a.html").write_bytes(page())
    (folder / "b.htm.gz").write_bytes(gzip.compress(page("é" * 200).decode().encode("utf-16"), mtime=0))
    (folder / "c.html").write_bytes(b"%PDF-1.7")
    (folder / "d.html").write_bytes(b"<html></html>")
    (folder / "e.html.gz").write_bytes(gzip.compress(page(), mtime=0)[:-1])
    result = download(folder, {"uri": ".", **FAST})
    assert [text.strip() for text in result.texts] == [PARAGRAPH.strip(), "é" * 200]
    assert result.reasons == [("not_html", "c.html"), ("no_main_text", "d.html"), ("truncated_file", "e.html.gz")]


@pytest.fixture
def fake_extractor(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The stage's extractor does what pages say; the options of a source that gives one 0.2 seconds of CPU time."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    fake = functools.partial(TextExtractor, worker="tests.download.fake_extractor")
    monkeypatch.setattr("pretrain.download.stage.TextExtractor", fake)
    return {"html": {"timeout_seconds": 0.2, "memory_bytes": 1 << 30}}


@pytest.mark.parametrize("pack", [lambda record: record, members], ids=["plain", "gzip"])
def test_a_page_that_hangs_or_ends_the_extractor_is_a_ledger_row_and_the_next_is_read(folder, fake_extractor, pack):
    records = [pack(warc(html(text))) for text in (b"first", b"spin", b"exit", b"ok")]
    (folder / "a.warc").write_bytes(b"".join(records))
    result = download(folder, {"uri": "a.warc", **fake_extractor})
    spin_at = len(records[0])
    assert result.texts == ["first", "ok"]
    assert result.reasons == [
        ("extract_timeout", f"a.warc+{spin_at}"),
        ("extract_failed", f"a.warc+{spin_at + len(records[1])}"),
    ]
    assert result.stats["skipped_by_source"] == {"s0": {}}  # they count as unreadable


def test_a_page_as_a_file_that_hangs_or_ends_the_extractor_is_a_ledger_row(folder: Path, fake_extractor):
    for name, text in {"a": "spin", "b": "exit", "c": "ok"}.items():
        (folder / f"{name}.html").write_text(text)
    result = download(folder, {"uri": "*.html", **fake_extractor})
    assert (result.texts, result.reasons) == (["ok"], [("extract_timeout", "a.html"), ("extract_failed", "b.html")])


@pytest.mark.slow
def test_same_bytes_for_any_number_of_workers(folder: Path, monkeypatch):
    monkeypatch.setattr("pretrain.download.units.UNIT_FILE_BYTES", 1)
    for name in ("a", "b", "c"):
        (folder / f"{name}.warc").write_bytes(warc(html(page(f"{name} {PARAGRAPH}"))) + warc(b"", "revisit"))
    source = {"uri": "*.warc", **FAST}
    once = download(folder, source)
    with LocalRunner(2) as runner:
        assert download(folder, source, runner=runner).parts == once.parts
    assert [text.strip()[0] for text in once.texts] == ["a", "b", "c"]


FILES = [
    make(*(pack(http(b"text %d " % n * 20, TEXT)) for n in range(4)))
    for make in (
        members,
        lambda *records: b"".join(records),
        lambda *records: gzip.compress(b"".join(records), mtime=0),
    )
    for pack in (warc, arc)
]


@given(data=st.data())
@settings(max_examples=150, deadline=10_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_record_of_a_broken_file_is_a_document_or_a_ledger_row(folder: Path, data: st.DataObject):
    content = bytearray(data.draw(st.sampled_from(FILES)))
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=5)):
        content[at] = data.draw(st.integers(0, 255))
    (folder / "a.warc").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    source = Source(name="s", uri="a.warc", format="warc")
    file = external_file(folder / "a.warc", "a.warc", FileHashes(folder.parent / "hashes"))
    records = list(read_records(file, source))
    rows = [to_row(record, source, file.name) for record in records]
    assert [record.position for record in records] == sorted({record.position for record in records})
    assert len({row.id for row in rows}) == len(rows)


needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no test data at {SHARED}: set PRETRAIN_SHARED_DATA")

EXPECTED: dict[str, tuple[int, dict[str, int]]] = {
    "dolma-sample-0000.warc.gz": (22, {"resource": 2}),
    "dolma-sample-0001.warc.gz": (15, {"resource": 2}),
    "iana.warc.gz": (16, {"http_status": 4, "not_html": 28, "revisit": 123}),
    "whirlwind.warc.gz": (1, {}),
    "whirlwind.warc.wat.gz": (0, {}),
    "whirlwind.warc.wet.gz": (1, {}),
    # its first and last two records name a length that is none
    "edge/bad.arc": (0, {"bad_http_header": 1, "damaged_record": 3}),
    "edge/dupes.warc.gz": (1, {"http_status": 1, "not_html": 1, "revisit": 9}),
    # several records in one gzip member, at which warcio stops
    "edge/example-bad-non-chunked.warc.gz": (1, {"revisit": 1}),
    "edge/example-bad.warc.gz.bad": (1, {"http_status": 1, "revisit": 1}),
    "edge/example-digest.warc": (0, {}),
    "edge/example-iana.org-chunked.warc": (1, {}),
    "edge/example-resource.warc.gz": (0, {"resource": 1}),
    "edge/example-space-in-target-uri.warc.gz": (0, {"resource": 1}),
    # 12 bytes of the last record are missing
    "edge/example-space-in-url.arc": (0, {"truncated_file": 1}),
    "edge/example-trunc.warc": (0, {"bad_checksum": 1}),
    "edge/example-wget-1-14.warc.gz": (1, {"resource": 3}),
    "edge/example-wget-bad-target-uri.warc.gz": (1, {"resource": 2}),
    "edge/example-wrong-chunks.warc.gz": (0, {"bad_checksum": 1}),
    "edge/example.arc": (1, {}),
    "edge/example.arc.gz": (1, {}),
    "edge/example.warc": (1, {"revisit": 1}),
    "edge/example.warc.gz": (1, {"revisit": 1}),
    "edge/post-test.warc.gz": (0, {"not_html": 3}),
}


@needs_shared
def test_real_crawls(folder: Path):
    source = Source(name="s", uri=str(SHARED))
    hashes = FileHashes(folder.parent / "hashes")
    found = {}
    with TextExtractor(source.html) as extractor:
        for name in EXPECTED:
            rows = [
                to_row(record, source, name)
                for record in read_records(external_file(SHARED / name, name, hashes), source, extractor)
            ]
            ledger = Counter(row.reason for row in rows if not isinstance(row, Document))
            found[name] = (len(rows) - ledger.total(), dict(sorted(ledger.items())))
    assert found == EXPECTED


@needs_shared
def test_no_real_crawl_is_left_out():
    names = {path.relative_to(SHARED).as_posix() for path in SHARED.rglob("*") if path.is_file()}
    assert names == {*EXPECTED, "pepys-diary.warc.gz"}


@needs_shared
def test_a_crawl_of_whole_pages(folder: Path):
    result = download(folder, {"uri": str(SHARED / "pepys-diary.warc.gz"), **FAST}, max_bad_fraction=0.0)
    assert (len(result.documents), [row.reason for row in result.ledger]) == (122, ["no_main_text"])
    assert all(document.url and document.url.startswith("http") for document in result.documents)
