import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.download.downloading import download


def test_a_file_of_no_known_format_is_one_ledger_row(folder: Path):
    (folder / "a.jsonl").write_text('{"text":"a"}')
    (folder / "notes.md").write_text("# Notes")
    (folder / "picture").write_bytes(b"\x89PNG\r\n")
    result = download(folder, {"uri": "."})
    assert result.texts == ["a"]
    assert result.reasons == [("unknown_format", "notes.md"), ("unknown_format", "picture")]
    assert result.stats["documents_in"] == 3


def test_json_lines_are_known_by_name_when_the_first_line_is_broken(folder: Path):
    (folder / "a.jsonl").write_text('ken"}\n{"text":"a"}')
    assert download(folder, {"uri": "a.jsonl"}).texts == ["a"]


@pytest.mark.parametrize("first", ["{broken", "broken", '{"text":"cut', "[", '"'])
def test_json_lines_called_json_are_known_by_their_other_lines(folder: Path, first):
    (folder / "a.json").write_text(first + '\n{"text":"a"}\n{"text":"b"}\n')
    result = download(folder, {"uri": "a.json"})
    assert (result.texts, result.reasons) == (["a", "b"], [("invalid_json", "a.json:1")])


@pytest.mark.parametrize(
    "text", ['{"text":\n"a"}', '[\n{"text":"a"}\n,\n{"text":"b"}\n]', '{\n"text":"a"}\n{"text":"b"}\n']
)
def test_json_over_several_lines_is_no_json_lines(folder: Path, text):
    (folder / "a.json").write_text(text)
    assert download(folder, {"uri": "a.json"}).texts == ["a", "b"][: text.count("text")]


def test_json_lines_are_known_by_content_without_a_name(folder: Path):
    (folder / "dump").write_text(' \n{"text":"a"}')
    assert download(folder, {"uri": "dump"}).texts == ["a"]


def test_a_named_format_is_taken_at_its_word(folder: Path):
    (folder / "dump").write_text('oops\n{"text":"a"}')
    result = download(folder, {"uri": "dump", "format": "jsonl"})
    assert (result.texts, result.reasons) == (["a"], [("invalid_json", "dump:1")])


def test_hidden_files_of_a_folder_are_no_data(folder: Path):
    (folder / "a.jsonl").write_text('{"text":"a"}')
    (folder / ".a.jsonl.swp").write_text("x")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("x")
    assert download(folder, {"uri": "."}).reasons == []


def arrow_bytes(*, stream: bool) -> bytes:
    table = pa.table({"text": ["a"]})
    out = io.BytesIO()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def parquet_bytes() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"text": ["a"]}), out)
    return out.getvalue()


def tar_bytes() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("a.py")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"a"))
    return out.getvalue()


def zip_bytes() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.py", "a")
    return out.getvalue()


TELLING = {
    "parquet": parquet_bytes(),
    "arrow file": arrow_bytes(stream=False),
    "arrow stream": arrow_bytes(stream=True),
    "tar": tar_bytes(),
    "zip": zip_bytes(),
    "json lines": b'{"text":"a"}\n',
    "json array": b'[\n {"text":"a"}]',
    "one object over lines": b'{\n "text":"a"\n}',
    "csv": b"id,text\n1,a\n",
}
WRAPPED = {"plain": bytes, "gz": gzip.compress, "zst": zstandard.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("kind", TELLING)
@pytest.mark.parametrize("compression", WRAPPED)
def test_content_tells_the_format_behind_any_compression(folder: Path, kind, compression):
    (folder / "data").write_bytes(WRAPPED[compression](TELLING[kind]))
    result = download(folder, {"uri": "data"})
    assert (result.texts, result.reasons) == (["a"], [])


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt", "a.parquet", "a.feather.gz", "a.zip", "a.json"])
@pytest.mark.parametrize("kind", ["parquet", "arrow file", "arrow stream", "tar", "zip", "json lines", "json array"])
def test_a_wrong_suffix_does_not_matter_where_content_is_telling(folder: Path, name, kind):
    (folder / name).write_bytes(TELLING[kind])
    assert download(folder, {"uri": name}).texts == ["a"]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.parquet", b"no parquet", "unknown_format"),
        ("a.feather", b"no arrow", "unknown_format"),
        ("a.feather", b"FEA1 of old", "feather_v1"),
        ("a.zip", b"PK\x03\x04 and no more", "truncated_file"),
        ("a.tar", tar_bytes()[:600], "truncated_file"),
        ("a.json", b'[{"text":', "truncated_file"),
        ("a.txt", b"\x89PNG", "invalid_utf8"),
        ("a.rtf", b"{\\rtf1 text}", "unknown_format"),
        ("a.doc", b"\xd0\xcf\x11\xe0", "unknown_format"),
        ("a", b"Once upon a time, there was text, or so they say.", "unknown_format"),
        ("a", b"title,body\nno,text\n", "unknown_format"),
        ("a", b"", "unknown_format"),
        ("a", b"\x1f\x8b", "unknown_format"),
        ("a.csv.gz", b"\x1f\x8b", "truncated_file"),
        ("a.csv.gz", b"\x1f", "truncated_file"),
        ("a.jsonl.GZ", b"", "truncated_file"),
        ("a.tgz", b"", "truncated_file"),
        ("a.tar.zst", b"(", "truncated_file"),
        ("a.zip", b"PK", "damaged_file"),
        ("a.zip", b"", "damaged_file"),
        ("a.tar", bytes(1024) + b"no header", "damaged_file"),
        ("a.tar.gz", gzip.compress(bytes(100))[:-1], "truncated_file"),
    ],
)
def test_what_is_wrong_has_a_reason(folder: Path, name, data, reason):
    (folder / name).write_bytes(data)
    result = download(folder, {"uri": name})
    assert [(found, evidence.partition(":")[0]) for found, evidence in result.reasons] == [(reason, name)]


def test_csv_without_a_name_is_known_by_its_text_field(folder: Path):
    (folder / "dump").write_bytes(b"title;body\nno;text\n")
    assert download(folder, {"uri": "dump", "text_key": "body"}).texts == ["text"]


def test_the_formats_of_one_folder_read_side_by_side(folder: Path):
    for kind, data in TELLING.items():
        (folder / kind.replace(" ", "-")).write_bytes(data)
    (folder / "z.txt").write_bytes(b"a")
    assert download(folder, {"uri": "."}).texts == ["a"] * 10
