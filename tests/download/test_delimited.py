import csv
import io
import json
import zlib
from pathlib import Path

import pytest

from pretrain.download import csv_rows
from pretrain.download.readers import delimited
from tests.download.downloading import download


def read(folder: Path, data: bytes, name: str = "a.csv", **options):
    (folder / name).write_bytes(data)
    return download(folder, {"uri": name, **options})


def test_fields_become_text_and_metadata(folder: Path):
    result = read(folder, b'id,text,lang\n7,"two\nlines, one ""quote""",en\n8,plain,\n', id_key="id", lang_key="lang")
    assert result.texts == ['two\nlines, one "quote"', "plain"]
    assert [document.lang for document in result.documents] == ["en", ""]
    assert [document.metadata for document in result.documents] == ['{"source_id":"7"}', '{"source_id":"8"}']


def test_positions_are_records_and_places_are_lines(folder: Path):
    result = read(folder, b'text,n\n"a\nb",1\n\n,2\nc,3\nshort\nlong,5,6\n')
    assert result.texts == ["a\nb", "c"]
    assert result.reasons == [
        ("empty_text", "a.csv:5"),
        ("wrong_field_count", "a.csv:7"),
        ("wrong_field_count", "a.csv:8"),
    ]
    assert result.stats["documents_in"] == 5


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("given", ["auto", None])
def test_every_delimiter_is_found_or_given(folder: Path, delimiter, given):
    data = f"text{delimiter}n\na{delimiter}1\n".encode()
    (document,) = read(folder, data, delimiter=given or delimiter).documents
    assert (document.text, document.metadata) == ("a", '{"n":"1"}')


@pytest.mark.parametrize(
    "data",
    [
        b"text,n\r\na,1\r\nb,2\r\n",
        b"\xef\xbb\xbftext,n\na,1\nb,2",
        b"text,n\ra,1\rb,2\r",
        b'"text","n"\n"a","1"\n"b","2"\n',
    ],
)
def test_line_ends_byte_order_mark_and_quotes_change_nothing(folder: Path, data):
    result = read(folder, data)
    assert [(document.text, document.metadata) for document in result.documents] == [
        ("a", '{"n":"1"}'),
        ("b", '{"n":"2"}'),
    ]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
def test_other_encodings_are_read_where_the_recipe_names_them(folder: Path, encoding):
    data = "text,n\nÄrger,1\n".encode(encoding)
    if encoding == "utf-16-be":
        data = b"\xfe\xff" + data
    assert read(folder, data, encoding=encoding[:6] if "16" in encoding else encoding).texts == ["Ärger"]


def test_a_record_that_is_not_utf8_is_dropped_alone(folder: Path):
    result = read(folder, b"text\ngood\nbad \xff\nnul \x00 kept\n")
    assert result.texts == ["good", "nul \x00 kept"]
    assert result.reasons == [("invalid_utf8", "a.csv:3")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'text\n"open\nfor good', ("unclosed_quote", "a.csv:2")),
        (b"te\xffxt\ngood\n", ("invalid_utf8", "a.csv:1")),
        (b'"text\n', ("unclosed_quote", "a.csv:1")),
    ],
)
def test_what_ends_a_file(folder: Path, data, reason):
    assert read(folder, data).reasons == [reason]


def test_two_columns_of_one_name_are_both_kept(folder: Path):
    (document,) = read(folder, b"text,text,text\na,b,c\n").documents
    assert (document.text, document.metadata) == ("a", '{"text#2":"b","text#3":"c"}')


def test_a_blank_licence_is_none(folder: Path):
    result = read(folder, b"text,license\na,MIT\nb,\n", license="CC0-1.0")
    assert result.stats["documents_by_license"] == {"CC0-1.0": 1, "MIT": 1}


def test_a_20_megabyte_field_is_read(folder: Path):
    lines = ("x" * 9_999 + "\n") * 2_000
    assert [len(text) for text in read(folder, f'text\n"{lines}"\ngood\n'.encode()).texts] == [20_000_000, 4]


def test_a_record_over_the_limit_is_too_large_and_the_next_is_read(folder: Path, monkeypatch):
    monkeypatch.setattr(csv_rows, "MAX_RECORD_BYTES", 1000)
    monkeypatch.setattr(delimited, "MAX_RECORD_BYTES", 1000)
    result = read(folder, b'text\n"' + b"x\n" * 999 + b'"\n' + b"y" * 1001 + b"\ngood\n")
    assert (result.texts, result.reasons) == (["good"], [("too_large", "a.csv:2"), ("too_large", "a.csv:1002")])


def test_a_broken_archive_keeps_the_records_before_the_cut(folder: Path):
    rows = [[f"document {index}", str(index)] for index in range(2000)]
    out = io.StringIO()
    csv.writer(out).writerows([["text", "n"], *rows])
    data = zlib.compress(out.getvalue().encode(), wbits=31)
    result = read(folder, data[: len(data) // 2], name="a.csv.gz")
    num_kept = len(result.documents)
    assert 100 < num_kept < 1900
    assert result.texts == [text for text, _ in rows[:num_kept]]
    assert result.reasons == [("truncated_file", f"a.csv.gz:{num_kept + 2}")]


def test_csv_reads_as_json_lines_do(folder: Path):
    rows = [{"text": f'a "{index}",\r\nb', "note": "x;y\t|" * index} for index in range(50)]
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, ["text", "note"])
    writer.writeheader()
    writer.writerows(rows)
    (folder / "b.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (folder / "b.csv").write_bytes(out.getvalue().encode())
    result = download(folder, {"uri": "b.csv"}, {"uri": "b.jsonl"})
    pairs = [(document.text, document.metadata) for document in result.documents]
    assert pairs[:50] == pairs[50:]
