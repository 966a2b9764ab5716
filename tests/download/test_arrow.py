import io
import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import feather

from pretrain.download import tables
from tests.download.downloading import download

TEXTS = [f"document {index} " + "word " * 50 for index in range(1000)]
TABLE = pa.table({"text": TEXTS, "n": range(1000)})


def arrow_bytes(table: pa.Table, *, stream: bool = False, codec: str | None = None, rows: int = 100) -> bytes:
    out = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(out, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rows)
    return out.getvalue()


def read(folder: Path, data: bytes, name: str = "a.arrow", **options):
    (folder / name).write_bytes(data)
    return download(folder, {"uri": name, **options})


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("codec", [None, "lz4", "zstd"])
def test_files_and_streams_read_as_json_lines_do(folder: Path, stream, codec):
    lines = [json.dumps({"text": text, "n": index}) for index, text in enumerate(TEXTS)]
    (folder / "a.jsonl").write_text("\n".join(lines))
    (folder / "a.arrow").write_bytes(arrow_bytes(TABLE, stream=stream, codec=codec))
    result = download(folder, {"uri": "a.arrow"}, {"uri": "a.jsonl"})
    pairs = [(document.text, document.metadata) for document in result.documents]
    assert pairs[:1000] == pairs[1000:] == [(text, f'{{"n":{index}}}') for index, text in enumerate(TEXTS)]


def test_feather_v2_is_an_arrow_file(folder: Path):
    feather.write_feather(TABLE, folder / "a.feather")
    assert download(folder, {"uri": "a.feather"}).texts == TEXTS


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]
)
def test_text_of_any_string_type(folder: Path, kind):
    column = pa.array(["a", "b", None, "a"]).cast(kind)
    result = read(folder, arrow_bytes(pa.table({"body": column})), text_key="body")
    assert result.texts == ["a", "b", "a"]
    assert result.reasons == [("missing_text", "a.arrow@2")]


def test_two_columns_of_one_name_are_both_kept(folder: Path):
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    assert read(folder, arrow_bytes(table)).documents[0].metadata == '{"text#2":"b"}'


@pytest.mark.parametrize("columns", [["n"], []])
def test_columns_that_nothing_asks_for_are_not_read(folder: Path, columns):
    table = TABLE.append_column("x", pa.array(range(1000)))
    documents = read(folder, arrow_bytes(table), columns=columns).documents
    assert [document.text for document in documents] == TEXTS
    assert documents[5].metadata == ('{"n":5}' if columns else None)


def test_without_any_column_asked_for_every_row_is_still_a_record(folder: Path):
    result = read(folder, arrow_bytes(TABLE), text_key="body", columns=[])
    assert result.stats["dropped_by_reason"] == {"missing_text": 1000}


def test_rows_that_are_not_utf8_are_dropped_alone(folder: Path):
    raw = pa.array([b"good", b"bad \xff", b"good too", b"\xfe"])
    column = pa.Array.from_buffers(pa.string(), 4, raw.buffers())
    result = read(folder, arrow_bytes(pa.table({"text": column})))
    assert result.texts == ["good", "good too"]
    assert result.reasons == [("invalid_utf8", "a.arrow@1"), ("invalid_utf8", "a.arrow@3")]


@pytest.mark.parametrize("stream", [True, False])
def test_offsets_that_point_outside_the_file_lose_their_rows_and_no_others(folder: Path, stream):
    data = bytearray(arrow_bytes(pa.table({"text": ["first", "second", "third", "fourth"]}), stream=stream))
    offsets = b"".join(offset.to_bytes(4, "little") for offset in (0, 5, 11, 16, 22))
    at = data.index(offsets)
    data[at + 8 : at + 12] = (1 << 30).to_bytes(4, "little")
    result = read(folder, bytes(data))
    assert result.texts == ["first", "fourth"]
    assert result.reasons == [("damaged_row", "a.arrow@1"), ("damaged_row", "a.arrow@2")]


def test_a_damaged_batch_loses_its_rows_and_no_others(folder: Path):
    data = bytearray(arrow_bytes(TABLE, codec="zstd"))
    for at in [at for at in range(len(data)) if data.startswith(b"\x28\xb5\x2f\xfd", at)][6:9]:
        data[at] ^= 0xFF  # three buffers: those of texts and numbers of the third batch or fourth
    result = read(folder, bytes(data))
    num_lost = len(result.ledger) * 100
    assert 100 <= num_lost <= 200
    assert len(result.texts) == 1000 - num_lost
    assert {reason for reason, _ in result.reasons} == {"damaged_batch"}


@pytest.mark.parametrize("stream", [True, False])
def test_batches_before_the_cut_are_kept(folder: Path, stream):
    data = arrow_bytes(TABLE, stream=stream)
    result = read(folder, data[: len(data) // 2])
    num_kept = len(result.texts)
    assert num_kept in (400, 500)
    assert result.texts == TEXTS[:num_kept]
    assert result.reasons == [("truncated_file", f"a.arrow@{num_kept}")]


@pytest.mark.parametrize("tail", [arrow_bytes(TABLE.slice(5), stream=True), b"garbage", bytes(8)])
def test_what_lies_behind_the_end_of_a_stream_is_told(folder: Path, tail):
    result = read(folder, arrow_bytes(TABLE.slice(0, 5), stream=True) + tail)
    assert (result.texts, result.reasons) == (TEXTS[:5], [("damaged_file", "a.arrow@5")])


def test_a_damaged_footer_loses_no_batch(folder: Path):
    data = arrow_bytes(TABLE)
    footer_bytes = int.from_bytes(data[-10:-6], "little")
    result = read(folder, data[: -10 - footer_bytes] + b"\xff" * footer_bytes + data[-10:])
    assert result.texts == TEXTS
    assert result.reasons == [("damaged_file", "a.arrow@1000")]


def test_rows_that_cost_nothing_are_not_counted_for_years(folder: Path, monkeypatch):
    monkeypatch.setattr(tables, "FREE_ROWS", 1000)
    table = pa.table({"text": pa.nulls(10_000_000)})
    result = read(folder, arrow_bytes(table, rows=10_000_000))
    assert result.reasons == [("bad_ratio", "a.arrow@0")]
