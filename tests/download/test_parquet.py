import datetime
import decimal
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.download.downloading import download


def write(path: Path, table: pa.Table, **options: object) -> None:
    pq.write_table(table, path, **options)


TEXTS = [f"document {index} " + "word " * 50 for index in range(1000)]


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
def test_every_codec_reads_as_json_lines_do(folder: Path, codec):
    write(folder / "a.parquet", pa.table({"text": TEXTS, "n": range(1000)}), compression=codec)
    lines = [json.dumps({"text": text, "n": index}) for index, text in enumerate(TEXTS)]
    (folder / "a.jsonl").write_text("\n".join(lines))
    result = download(folder, {"uri": "a.parquet"}, {"uri": "a.jsonl"})
    pairs = [(document.text, document.metadata) for document in result.documents]
    assert pairs[:1000] == pairs[1000:] == [(text, f'{{"n":{index}}}') for index, text in enumerate(TEXTS)]


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]
)
def test_text_of_any_string_type(folder: Path, kind):
    column = pa.array(["a", "b", None, "a"]).cast(kind)
    write(folder / "a.parquet", pa.table({"body": column}))
    result = download(folder, {"uri": "a.parquet", "text_key": "body"})
    assert result.texts == ["a", "b", "a"]
    assert result.reasons == [("missing_text", "a.parquet@2")]


def test_values_without_a_json_type_are_written_as_text(folder: Path):
    row = {
        "text": "t",
        "when": datetime.datetime(2024, 2, 29, 12, 0),
        "price": decimal.Decimal("1.10"),
        "raw": b"\x00\xff",
        "nested": {"list": [1, None], "day": datetime.date(2024, 2, 29)},
        "nothing": None,
        "infinite": float("inf"),
    }
    table = pa.Table.from_pylist([row])
    far = pa.array([45 * 146_097 * 86_400], pa.timestamp("s"))  # 45 times 400 years after 1970
    write(folder / "a.parquet", table.append_column("far", far.cast(pa.timestamp("ms"))))
    (document,) = download(folder, {"uri": "a.parquet"}).documents
    assert json.loads(document.metadata or "") == {
        "when": "2024-02-29T12:00:00",
        "price": "1.10",
        "raw": "AP8=",
        "nested": {"list": [1, None], "day": "2024-02-29"},
        "nothing": None,
        "infinite": None,
        "far": "19970-01-01 00:00:00.000",
    }


def test_two_columns_of_one_name_are_both_kept(folder: Path):
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    write(folder / "a.parquet", table)
    (document,) = download(folder, {"uri": "a.parquet"}).documents
    assert (document.text, document.metadata) == ("a", '{"text#2":"b"}')


def test_a_row_that_is_not_utf8_is_dropped_alone(folder: Path):
    raw = pa.array([b"good", b"bad \xff", b"good too"])
    column = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    write(folder / "a.parquet", pa.table({"text": column}))
    result = download(folder, {"uri": "a.parquet"})
    assert result.texts == ["good", "good too"]
    assert result.reasons == [("invalid_utf8", "a.parquet@1")]


@pytest.mark.parametrize("has_checksums", [True, False])
def test_a_damaged_row_group_loses_its_rows_and_no_others(folder: Path, has_checksums):
    path = folder / "a.parquet"
    options = {"row_group_size": 100, "compression": "zstd", "use_dictionary": False}
    write(path, pa.table({"text": TEXTS}), write_page_checksum=has_checksums, **options)
    column = pq.ParquetFile(path).metadata.row_group(4).column(0)
    data = bytearray(path.read_bytes())
    if has_checksums:  # one bit near the end of the page, behind its header
        data[column.data_page_offset + column.total_compressed_size - 9] ^= 1
    else:  # without a checksum only what the codec notices: here its magic is gone
        at = data.index(b"\x28\xb5\x2f\xfd", column.data_page_offset)
        data[at] ^= 0xFF
    path.write_bytes(data)
    result = download(folder, {"uri": "a.parquet"})
    assert result.texts == TEXTS[:400] + TEXTS[500:]
    assert result.reasons == [("damaged_row_group", f"a.parquet@{row}") for row in range(400, 500)]


@pytest.mark.parametrize(
    ("name", "keep", "reason"),
    [("a.parquet", 0.7, "truncated_file"), ("a", 0.7, "truncated_file"), ("a.parquet", 0, "unknown_format")],
)
def test_without_its_footer_a_file_is_one_bad_record(folder: Path, name, keep, reason):
    write(folder / name, pa.table({"text": TEXTS}))
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: int(len(data) * keep)])
    (folder / "b.jsonl").write_text('{"text":"b"}')
    result = download(folder, {"uri": "."})
    assert (result.texts, result.reasons) == (["b"], [(reason, name)])


@pytest.mark.parametrize("column", [b"text", b"\xff\xfe\xfd\xfc"])
def test_a_damaged_footer_makes_one_bad_record(folder: Path, column):
    write(folder / "a.parquet", pa.table({"text": TEXTS, "name": TEXTS}))
    data = (folder / "a.parquet").read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    broken = data[footer:].replace(b"name", column) if column != b"text" else bytes(200) + data[footer + 200 :]
    (folder / "a.parquet").write_bytes(data[:footer] + broken)
    result = download(folder, {"uri": "a.parquet"})
    assert (result.texts, result.reasons) == ([], [("damaged_file", "a.parquet")])


ROWS = [
    {"content": {"text": f"text {index}", "lang": "en"}, "meta": {"id": index, "tags": ["a"]}} for index in range(3)
]


@pytest.mark.parametrize("kind", ["parquet", "arrow", "jsonl"])
def test_keys_reach_into_nested_fields_in_every_format(folder: Path, kind):
    table = pa.Table.from_pylist(ROWS)
    if kind == "parquet":
        write(folder / "a", table)
    elif kind == "arrow":
        with pa.ipc.new_file(folder / "a", table.schema) as writer:
            writer.write_table(table)
    else:
        (folder / "a").write_text("\n".join(json.dumps(row) for row in ROWS))
    keys = {"text_key": "content.text", "lang_key": "content.lang", "id_key": "meta.id"}
    result = download(folder, {"uri": "a", **keys})
    assert [(document.text, document.lang) for document in result.documents] == [(f"text {n}", "en") for n in range(3)]
    assert [document.metadata for document in result.documents] == [
        f'{{"meta":{{"tags":["a"]}},"source_id":{n}}}' for n in range(3)
    ]
    chosen = download(folder, {"uri": "a", **keys, "columns": []})
    assert [document.metadata for document in chosen.documents] == [f'{{"source_id":{n}}}' for n in range(3)]


def test_a_field_with_a_dot_in_its_name_comes_first(folder: Path):
    write(folder / "a.parquet", pa.Table.from_pylist([{"content": {"text": "inner"}, "content.text": "literal"}]))
    result = download(folder, {"uri": "a.parquet", "text_key": "content.text"})
    assert (result.texts, result.documents[0].metadata) == (["literal"], '{"content":{"text":"inner"}}')
    assert download(folder, {"uri": "a.parquet", "text_key": "content.text", "columns": []}).texts == ["literal"]


@pytest.mark.parametrize("columns", [["b", "text#2"], ["a"], ["a.b", "b"], ["absent"], []])
def test_chosen_columns_are_those_of_the_whole_record(folder: Path, columns):
    names = ["a", "text", "a.b", "text", "b", "a"]
    table = pa.Table.from_arrays([pa.array([f"{index} {name}"]) for index, name in enumerate(names)], names=names)
    write(folder / "a.parquet", table)
    (whole,) = download(folder, {"uri": "a.parquet"}).documents
    (document,) = download(folder, {"uri": "a.parquet", "columns": columns}).documents
    assert document.text == whole.text == "1 text"
    expected = {name: value for name, value in json.loads(whole.metadata or "").items() if name in columns}
    assert json.loads(document.metadata or "{}") == expected


def test_columns_that_nothing_asks_for_are_not_read(folder: Path):
    table = pa.table({"text": TEXTS, "payload": ["x" * 100] * 1000})
    write(folder / "a.parquet", table, compression="zstd", use_dictionary=False, write_page_checksum=True)
    column = pq.ParquetFile(folder / "a.parquet").metadata.row_group(0).column(1)
    data = bytearray((folder / "a.parquet").read_bytes())
    data[column.data_page_offset + column.total_compressed_size - 9] ^= 1
    (folder / "a.parquet").write_bytes(data)
    assert download(folder, {"uri": "a.parquet"}).stats["dropped_by_reason"] == {"damaged_row_group": 1000}
    assert download(folder, {"uri": "a.parquet", "columns": []}).texts == TEXTS


def test_structs_that_python_has_no_type_for_are_named_in_metadata(folder: Path):
    struct = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    write(folder / "a.parquet", pa.table({"text": ["t"], "s": struct}))
    (document,) = download(folder, {"uri": "a.parquet"}).documents
    assert json.loads(document.metadata or "") == {"s": "<struct<a: int64, a: int64>>"}
