"""Broken files of every format: nothing crashes or hangs, and every record is a document or a ledger row."""

import bz2
import gzip
import io
import json
import lzma
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pretrain.download.config import Source
from pretrain.download.formats import read_records
from pretrain.download.records import to_row
from pretrain.external import ExternalFile, external_file
from pretrain.filehash import FileHashes
from tests.download.archives import tar_bytes, zip_bytes

ROWS = [{"text": f'text {index} "ü", \n', "n": index, "d": {"a": [index, None]}} for index in range(40)]
TABLE = pa.Table.from_pylist(ROWS).append_column("kind", pa.array(["a", "b"] * 20).dictionary_encode())
FILES = {f"src/{index}.py": f"# {index} ü\n".encode() * (index + 1) for index in range(20)}


def arrow_bytes(*, stream: bool = False, codec: str | None = None) -> bytes:
    out = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(out, TABLE.schema, options=options) as writer:
        writer.write_table(TABLE, max_chunksize=10)
    return out.getvalue()


def parquet_bytes(codec: str) -> bytes:
    out = io.BytesIO()
    pq.write_table(TABLE, out, row_group_size=10, compression=codec, write_page_checksum=codec == "zstd")
    return out.getvalue()


def wet_records() -> list[bytes]:
    """Records of a WET file: the extracted text of 20 pages, so that no page has to be extracted here."""
    records = []
    for index in range(20):
        text = f"page {index} ü\r\n\r\n".encode() * (index + 1)
        head = f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://x/{index}\r\nContent-Type: text/plain\r\n"
        records.append(f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text + b"\r\n\r\n")
    return records


JSONL = "\n".join(json.dumps(row) for row in ROWS).encode()
CSV = b"text,n\r\n" + b"".join(b'"a ""%d"", \n b",%d\r\n' % (index, index) for index in range(40))
VALID = {
    "jsonl": JSONL,
    "jsonl.gz": gzip.compress(JSONL[:2000]) + gzip.compress(JSONL[2000:]),
    "jsonl.zst": zstandard.compress(JSONL),
    "jsonl.bz2": bz2.compress(JSONL),
    "jsonl.xz": lzma.compress(JSONL),
    "json": json.dumps(ROWS, indent=1).encode(),
    "csv": CSV,
    "csv.gz": gzip.compress(CSV),
    "snappy.parquet": parquet_bytes("snappy"),
    "zstd.parquet": parquet_bytes("zstd"),
    "arrow": arrow_bytes(),
    "arrows": arrow_bytes(stream=True),
    "zstd.arrow": arrow_bytes(codec="zstd"),
    "tar": tar_bytes(FILES),
    "tar.gz": gzip.compress(tar_bytes(FILES)),
    "tar.zst": zstandard.compress(tar_bytes(FILES)),
    "zip": zip_bytes(FILES),
    "wet": b"".join(wet_records()),
    "wet.gz": b"".join(gzip.compress(record) for record in wet_records()),
    "txt": "Once upon a time \u2028 ü.\n".encode() * 50,
}
# A flip, cut, doubled or foreign stretch at a place between the start (0) and the end (1) of the file.
PLACE = st.floats(0, 1)
DAMAGE = st.one_of(
    st.tuples(st.just("flip"), PLACE, st.integers(1, 255)),
    st.tuples(st.just("cut"), PLACE, st.just(0)),
    st.tuples(st.just("remove"), PLACE, st.integers(1, 600)),
    st.tuples(st.just("double"), PLACE, st.integers(1, 600)),
    st.tuples(st.just("splice"), PLACE, st.integers(0, len(VALID) - 1)),
    st.tuples(st.just("ones"), PLACE, st.integers(1, 8)),
)


def damaged(data: bytes, kind: str, place: float, number: int) -> bytes:
    at = int(place * max(0, len(data) - 1))
    if kind == "flip":
        return data[:at] + bytes([data[at] ^ number]) + data[at + 1 :] if data else data
    if kind == "cut":
        return data[:at]
    if kind == "remove":
        return data[:at] + data[at + number :]
    if kind == "double":
        return data[: at + number] + data[at:]
    if kind == "splice":
        foreign = list(VALID.values())[number]
        return data[:at] + foreign[int(place * len(foreign)) :]
    return data[:at] + b"\xff" * number + data[at + number :]


def check(folder: Path, name: str, data: bytes) -> None:
    """Reads a file as the stage does; whatever is read has a document or a ledger row, with an id of its own."""
    (folder / name).write_bytes(data)
    file: ExternalFile = external_file(folder / name, name, FileHashes(folder / "hashes"))
    source = Source(name="s", uri=name)
    rows = [to_row(record, source, file.name) for record in read_records(file, source)]
    assert len({row.id for row in rows}) == len(rows)


quick = settings(
    max_examples=40, deadline=10_000, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
thorough = settings(quick, max_examples=5_000)


@pytest.mark.parametrize("name", VALID)
def test_what_is_whole_reads_whole(folder: Path, name):
    (folder / name).write_bytes(VALID[name])
    file = external_file(folder / name, name, FileHashes(folder / "hashes"))
    records = list(read_records(file, Source(name="s", uri=name)))
    assert len(records) == {"tar": 20, "zip": 20, "wet": 20, "txt": 1}.get(name.partition(".")[0], 40)


@pytest.mark.parametrize("name", VALID)
@given(damages=st.lists(DAMAGE, min_size=1, max_size=4))
@quick
def test_a_damaged_file_is_conserved(folder: Path, name, damages):
    data = VALID[name]
    for damage in damages:
        data = damaged(data, *damage)
    check(folder, f"a.{name}", data)


@given(data=st.binary(max_size=2000), name=st.sampled_from(list(VALID)), keep=st.integers(0, 12))
@quick
def test_noise_is_conserved(folder: Path, data, name, keep):
    check(folder, f"a.{name}", VALID[name][:keep] + data)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", VALID)
@given(damages=st.lists(DAMAGE, min_size=1, max_size=4))
@thorough
def test_a_damaged_file_is_conserved_at_length(folder: Path, name, damages):
    data = VALID[name]
    for damage in damages:
        data = damaged(data, *damage)
    check(folder, f"a.{name}", data)
