import bz2
import gzip
import json
import lzma
import random
from pathlib import Path

import pytest
import zstandard

from pretrain.download import content
from tests.download.downloading import download

# Words in random order compress evenly: the middle of the file is about the middle of the text.
_RANDOM = random.Random(0)
WORDS = ["alpha", "beta", "gamma", "delta", "Ärger", "語"]
TEXTS = [" ".join(_RANDOM.choices(WORDS, k=400)) for _ in range(400)]
PLAIN = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in TEXTS).encode()


def zst(data: bytes) -> bytes:
    """A frame of blocks of 64 KiB with a checksum."""
    compressor = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    blocks = [
        compressor.compress(data[start : start + 65536]) + compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        for start in range(0, len(data), 65536)
    ]
    return b"".join([*blocks, compressor.flush()])


COMPRESSED = {
    "plain": PLAIN,
    "gz": gzip.compress(PLAIN),
    "gz of two members": gzip.compress(PLAIN[:50_001]) + gzip.compress(PLAIN[50_001:]),
    "gz with an empty member and zero padding": gzip.compress(b"") + gzip.compress(PLAIN) + bytes(512),
    "zst": zst(PLAIN),
    "zst of two frames": zst(PLAIN[:50_001]) + zst(PLAIN[50_001:]),
    "bz2": bz2.compress(PLAIN),
    "xz": lzma.compress(PLAIN),
}


@pytest.mark.parametrize("data", COMPRESSED.values(), ids=COMPRESSED.keys())
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.zst", "a"])
def test_compression_is_found_by_content_whatever_the_name(folder: Path, name, data):
    (folder / name).write_bytes(data)
    result = download(folder, {"uri": name})
    assert result.texts == TEXTS
    assert result.ledger == []


@pytest.mark.parametrize("kind", ["gz", "zst", "gz of two members"])
def test_records_before_the_cut_are_kept(folder: Path, kind):
    data = COMPRESSED[kind]
    (folder / "a.jsonl").write_bytes(data[: len(data) // 2])
    result = download(folder, {"uri": "a.jsonl"})
    num_kept = len(result.documents)
    assert 100 < num_kept < 300
    assert result.texts == TEXTS[:num_kept]
    assert result.reasons == [("truncated_file", f"a.jsonl:{num_kept + 1}")]


def test_a_wrong_checksum_is_told_after_all_records(folder: Path):
    data = bytearray(gzip.compress(b'{"text":"a"}\n{"text":"b"}\n'))
    data[-6] ^= 1  # the CRC lies before the four bytes of length
    (folder / "a.jsonl.gz").write_bytes(data)
    result = download(folder, {"uri": "a.jsonl.gz"})
    assert result.texts == ["a", "b"]
    assert result.reasons == [("bad_checksum", "a.jsonl.gz:3")]


def test_bytes_that_follow_an_archive_are_told_after_all_records(folder: Path):
    (folder / "a.jsonl.gz").write_bytes(COMPRESSED["gz"] + b"garbage")
    result = download(folder, {"uri": "a.jsonl.gz"})
    assert result.texts == TEXTS
    assert result.reasons == [("damaged_file", "a.jsonl.gz:401")]


def test_a_flipped_byte_in_the_middle_loses_what_follows_it(folder: Path):
    data = bytearray(COMPRESSED["zst"])
    data[len(data) // 2] ^= 0xFF
    (folder / "a.jsonl").write_bytes(data)
    result = download(folder, {"uri": "a.jsonl"})
    assert [reason for reason, _ in result.reasons][-1:] in (["damaged_file"], ["bad_checksum"])
    assert result.texts[:100] == TEXTS[:100]


@pytest.mark.parametrize("data", [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x1f\x8bgarbage"])
def test_an_archive_of_nothing_but_its_magic_is_one_bad_record(folder: Path, data):
    (folder / "a.jsonl").write_bytes(data)
    (folder / "b.jsonl").write_text('{"text":"b"}')
    result = download(folder, {"uri": "*.jsonl"})
    assert result.texts == ["b"]
    assert result.reasons[0][1] == "a.jsonl:1"


def test_a_window_that_memory_could_not_bound_is_named(folder: Path):
    parameters = zstandard.ZstdCompressionParameters(window_log=28)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    (folder / "a.jsonl.zst").write_bytes(compressor.compress(PLAIN) + compressor.flush())
    result = download(folder, {"uri": "a.jsonl.zst"})
    assert (result.texts, result.reasons) == ([], [("needs_too_much_memory", "a.jsonl.zst:1")])


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_records_before_a_bomb_are_kept(folder: Path, compress, monkeypatch):
    monkeypatch.setattr(content, "RATIO_FREE_BYTES", 1 << 20)
    (folder / "a.jsonl").write_bytes(compress(PLAIN) + compress(bytes(20 << 20)))
    monkeypatch.setattr(content, "MAX_RATIO", 20)
    result = download(folder, {"uri": "a.jsonl"})
    assert (result.texts, result.reasons) == (TEXTS, [("bad_ratio", "a.jsonl:401")])


def test_concatenated_members_of_every_compression_are_one_file(folder: Path):
    cut = len(PLAIN) // 2
    for kind, compress in {"gz": gzip.compress, "zst": zst, "bz2": bz2.compress, "xz": lzma.compress}.items():
        (folder / kind).write_bytes(compress(PLAIN[:cut]) + compress(PLAIN[cut:]))
        assert download(folder, {"uri": kind}).texts == TEXTS
