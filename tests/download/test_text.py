import gzip
from pathlib import Path

import pytest

from pretrain.download.readers import text
from tests.download.downloading import download


def read(folder: Path, data: bytes, name: str = "a.txt", **options):
    (folder / name).write_bytes(data)
    return download(folder, {"uri": name, **options})


def test_a_file_is_one_document_as_it_stands(folder: Path):
    data = "\ufeff Ärger\r\n\x00 \u2028 {\n\n".encode()
    result = read(folder, data)
    assert result.texts == [" Ärger\r\n\x00 \u2028 {\n\n"]
    assert result.documents[0].metadata is None


def test_lines_are_documents_and_blank_ones_are_none(folder: Path):
    result = read(folder, b"a\r\n\n \nb\xff\nc", separator="\n")
    assert result.texts == ["a", "c"]
    assert result.reasons == [("invalid_utf8", "a.txt:4")]
    assert result.stats["documents_in"] == 3


def test_any_separator_and_the_line_a_piece_starts_in(folder: Path):
    result = read(folder, b"a\nb\n\n\n\xff\n\n\n\n\n\nc\n", separator="\n\n\n")
    assert result.texts == ["a\nb", "c\n"]
    assert result.reasons == [("invalid_utf8", "a.txt:5")]
    assert read(folder, "a<|endoftext|>b ß".encode(), separator="<|endoftext|>").texts == ["a", "b ß"]


@pytest.mark.parametrize(
    ("encoding", "data", "expected"),
    [
        ("latin-1", b"caf\xe9 \x85", "café \x85"),
        ("cp1252", b"caf\xe9 \x85", "café …"),
        ("utf-16", "é\n語".encode("utf-16-le"), "é\n語"),
        ("utf-16", b"\xff\xfe" + "é\n語".encode("utf-16-le"), "é\n語"),
        ("utf-16", b"\xfe\xff" + "é\n語".encode("utf-16-be"), "é\n語"),
    ],
)
def test_encodings(folder: Path, encoding, data, expected):
    assert read(folder, data, encoding=encoding).texts == [expected]


@pytest.mark.parametrize(
    ("encoding", "data", "reason"),
    [
        ("utf-8", b"caf\xe9", "invalid_utf8"),
        ("cp1252", b"\x81", "invalid_encoding"),
        ("utf-16", b"a\x00b", "truncated_file"),
        ("utf-16", b"\x00\xd8a\x00", "invalid_utf8"),
    ],
)
def test_nothing_is_replaced(folder: Path, encoding, data, reason):
    assert read(folder, data, encoding=encoding).reasons == [(reason, "a.txt:1")]


def test_separators_are_found_in_any_encoding(folder: Path):
    assert read(folder, "é--b\n--c".encode("utf-16"), encoding="utf-16", separator="--").texts == ["é", "b\n", "c"]
    assert read(folder, b"a\xa7b", encoding="latin-1", separator="§").texts == ["a", "b"]


def test_a_piece_over_the_limit_is_too_large_and_the_next_is_read(folder: Path, monkeypatch):
    monkeypatch.setattr(text, "MAX_RECORD_BYTES", 1000)
    data = b"good\n" + b"x" * 1001 + b"\ngood too"
    result = read(folder, data, separator="\n")
    assert (result.texts, result.reasons) == (["good", "good too"], [("too_large", "a.txt:2")])
    assert read(folder, data).reasons == [("too_large", "a.txt:1")]


def test_what_is_cut_is_no_document(folder: Path):
    data = gzip.compress(b"first\n\nsecond" * 1000)[:-9]
    assert read(folder, data, name="a.txt.gz").reasons == [("truncated_file", "a.txt.gz:1")]
    result = read(folder, data, name="a.txt.gz", separator="\n\n")
    assert result.texts[0] == "first"
    assert [reason for reason, _ in result.reasons] == ["truncated_file"]


def test_empty_files_are_no_records(folder: Path):
    (folder / "b.txt").write_text("b")
    (folder / "a.txt").write_bytes(b"\n ")
    result = download(folder, {"uri": "*.txt"})
    assert (result.texts, result.reasons) == (["b"], [])
