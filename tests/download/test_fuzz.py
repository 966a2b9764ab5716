"""Broken files of every format: nothing crashes or hangs, and every record is a document or a ledger row.

Nobody can say how many records a damaged file has. What can be said without the readers is held against them: the lines
of JSON Lines; and that a file that lost documents, where its format can tell, says so in the ledger.
"""

import bz2
import codecs
import gzip
import io
import itertools
import json
import lzma
import shutil
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pretrain.documents import LedgerRow
from pretrain.download.config import Source
from pretrain.download.content import is_compressed
from pretrain.download.formats import read_records
from pretrain.download.records import to_row
from pretrain.external import ExternalFile, external_file
from pretrain.filehash import FileHashes
from tests.download.archives import tar_bytes, zip_bytes
from tests.download.downloading import download

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
NUM_DOCUMENTS = {"tar": 20, "zip": 20, "wet": 20, "txt": 1}  # of the first part of a name; 40 of others
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


class Outcome(NamedTuple):
    num_documents: int
    ledger: list[LedgerRow]


def read(folder: Path, name: str, data: bytes) -> Outcome:
    """Reads a file as the stage does; whatever is read is a document or a ledger row, with an id of its own."""
    (folder / name).write_bytes(data)
    file: ExternalFile = external_file(folder / name, name, FileHashes(folder / "hashes"))
    source = Source(name="s", uri=name)
    rows = [to_row(record, source, file.name) for record in read_records(file, source)]
    assert len({row.id for row in rows}) == len(rows)
    ledger = [row for row in rows if isinstance(row, LedgerRow)]
    return Outcome(len(rows) - len(ledger), ledger)


def message_ends(stream: bytes) -> set[int]:
    """Where the messages of an Arrow stream end: its schema, dictionaries and batches."""
    content = pa.BufferReader(stream)
    return {content.tell() for _ in pa.ipc.MessageReader.open_stream(content)}


# What has lengths or checksums, so that a loss cannot go unseen: what is lost must be in the ledger.
SEALED = [
    name for name in VALID if any(kind in name for kind in ("gz", "zst", "bz2", "xz", "parquet", "arrow", "tar", "zip"))
]
# Cuts that leave a whole file behind: an Arrow stream may end after any message (Arrow columnar format, IPC streaming),
# gzip after any member.
CLEAN_CUTS = {
    "arrows": message_ends(VALID["arrows"]),
    "wet.gz": set(itertools.accumulate(len(gzip.compress(record)) for record in wet_records())),
}
FLIP_OR_CUT = st.one_of(
    st.tuples(st.just("flip"), PLACE, st.integers(1, 255)), st.tuples(st.just("cut"), PLACE, st.just(0))
)


def require_loss_in_ledger(folder: Path, name: str, damage: tuple[str, float, int]) -> None:
    data = damaged(VALID[name], *damage)
    outcome = read(folder, f"a.{name}", data)
    is_whole = outcome.num_documents >= NUM_DOCUMENTS.get(name.partition(".")[0], 40)
    assert is_whole or outcome.ledger or (damage[0] == "cut" and len(data) in CLEAN_CUTS.get(name, ()))


quick = settings(
    max_examples=40, deadline=10_000, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
thorough = settings(quick, max_examples=5_000)


@pytest.mark.parametrize("name", VALID)
def test_what_is_whole_reads_whole(folder: Path, name):
    (folder / name).write_bytes(VALID[name])
    file = external_file(folder / name, name, FileHashes(folder / "hashes"))
    records = list(read_records(file, Source(name="s", uri=name)))
    assert len(records) == NUM_DOCUMENTS.get(name.partition(".")[0], 40)


@pytest.mark.parametrize("name", VALID)
@given(damages=st.lists(DAMAGE, min_size=1, max_size=4))
@quick
def test_a_damaged_file_reads_to_its_end(folder: Path, name, damages):
    data = VALID[name]
    for damage in damages:
        data = damaged(data, *damage)
    read(folder, f"a.{name}", data)


@given(data=st.binary(max_size=2000), name=st.sampled_from(list(VALID)), keep=st.integers(0, 12))
@quick
def test_noise_reads_to_its_end(folder: Path, data, name, keep):
    read(folder, f"a.{name}", VALID[name][:keep] + data)


@given(damages=st.lists(DAMAGE, min_size=1, max_size=4))
@quick
def test_every_line_of_damaged_json_lines_is_counted(folder: Path, damages):
    data = JSONL
    for damage in damages:
        data = damaged(data, *damage)
    lines = data.removeprefix(codecs.BOM_UTF8).split(b"\n")
    num_records = sum(1 for line in lines if line.strip())
    assume(num_records and not is_compressed(data))
    (folder / "a").write_bytes(data)
    result = download(folder, {"uri": "a", "format": "jsonl"})
    assert len(result.documents) + len(result.ledger) == num_records
    assert {row.evidence for row in result.ledger} <= {f"a:{number}" for number in range(1, len(lines) + 1)}
    counted = [result.stats[name] for name in ("documents_in", "documents_out", "documents_dropped")]
    assert counted == [num_records, len(result.documents), len(result.ledger)]


@pytest.mark.parametrize("name", SEALED)
@given(damage=FLIP_OR_CUT)
@quick
def test_what_a_flip_or_a_cut_loses_is_in_the_ledger(folder: Path, name, damage):
    require_loss_in_ledger(folder, name, damage)


@pytest.mark.parametrize("name", SEALED)
def test_a_file_cut_to_its_first_bytes_is_in_the_ledger(folder: Path, name):
    assert all(read(folder, f"a.{name}", VALID[name][:size]).ledger for size in range(4))


@given(damage=DAMAGE, name=st.sampled_from(list(VALID)))
@quick
def test_the_stage_conserves_a_damaged_file_beside_a_whole_one(folder: Path, name, damage):
    shutil.rmtree(folder / "sources", ignore_errors=True)
    (folder / "sources").mkdir()
    (folder / "sources" / "good.jsonl").write_bytes(JSONL)
    (folder / "sources" / f"a.{name}").write_bytes(damaged(VALID[name], *damage))
    result = download(folder, {"uri": "sources"})
    alone = read(folder, f"a.{name}", damaged(VALID[name], *damage))
    assert len(result.documents) == result.stats["documents_out"] == 40 + alone.num_documents
    assert len(result.ledger) == result.stats["documents_dropped"] == len(alone.ledger)
    assert result.stats["documents_in"] == 40 + alone.num_documents + len(alone.ledger)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", SEALED)
@given(damage=FLIP_OR_CUT)
@thorough
def test_what_a_flip_or_a_cut_loses_is_in_the_ledger_at_length(folder: Path, name, damage):
    require_loss_in_ledger(folder, name, damage)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", VALID)
@given(damages=st.lists(DAMAGE, min_size=1, max_size=4))
@thorough
def test_a_damaged_file_reads_to_its_end_at_length(folder: Path, name, damages):
    data = VALID[name]
    for damage in damages:
        data = damaged(data, *damage)
    read(folder, f"a.{name}", data)
