import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pretrain.documents import document_id
from pretrain.download import parts, units
from pretrain.errors import BadInputFractionError, InputError
from pretrain.runner import LocalRunner
from tests.download.downloading import download

SHARED = Path(os.environ.get("PRETRAIN_SHARED_DATA", Path(__file__).parents[2] / "../shared/data"))


class ReversedRunner:
    """Runs units in this process, the last one first."""

    num_workers = 1

    def map(self, function: Callable[[Any], Any], payloads: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        for name, payload in reversed(list(payloads)):
            yield name, function(payload)


def jsonl(texts: Iterable[Any]) -> str:
    return "".join(json.dumps({"text": text}) + "\n" for text in texts)


@pytest.fixture
def mixed(folder: Path) -> list[dict[str, Any]]:
    """Two sources: JSON Lines in three files with two bad records, and parquet with one."""
    for index in range(3):
        (folder / f"{index}.jsonl").write_text(jsonl([f"web {index} {n}" for n in range(10)]))
    (folder / "1.jsonl").write_text(jsonl(["web 1", 7, "", "é"]))
    pq.write_table(pa.table({"text": ["book", None], "year": [1900, 1901]}), folder / "books.parquet")
    return [{"name": "web", "uri": "*.jsonl"}, {"name": "books", "uri": "books.parquet"}]


def test_counts_are_conserved_and_split_by_source(folder: Path, mixed):
    result = download(folder, *mixed)
    text_bytes = 20 * len("web 0 0") + len("web 1") + len("é".encode()) + len("book")
    assert result.stats == {
        "documents_in": 26,
        "documents_out": 23,
        "documents_dropped": 3,
        "bytes_in": text_bytes,
        "bytes_out": text_bytes,
        "dropped_by_reason": {"empty_text": 1, "missing_text": 1, "not_a_string": 1},
        "records_by_source": {"books": 2, "web": 24},
        "documents_by_source": {"books": 1, "web": 22},
        "dropped_by_source": {"books": {"missing_text": 1}, "web": {"empty_text": 1, "not_a_string": 1}},
        "skipped_by_source": {"books": {}, "web": {}},
        "documents_by_license": {"unknown": 23},
    }
    assert len(result.documents) == 23
    assert result.reasons == [
        ("not_a_string", "1.jsonl:2"),
        ("empty_text", "1.jsonl:3"),
        ("missing_text", "books.parquet@1"),
    ]
    assert {(row.source, row.stage) for row in result.ledger} == {("web", "download"), ("books", "download")}


def test_ids_come_from_source_file_and_position(folder: Path, mixed):
    result = download(folder, *mixed)
    ids = {document.text: document.id for document in result.documents}
    assert ids["web 0 3"] == document_id("web", "0.jsonl", 3)
    assert ids["book"] == document_id("books", "books.parquet", 0)
    assert result.ledger[0].id == document_id("web", "1.jsonl", 1)
    assert len({*ids.values(), *(row.id for row in result.ledger)}) == 26


def test_same_bytes_for_any_order_of_units_and_number_of_workers(folder: Path, mixed, monkeypatch):
    monkeypatch.setattr(units, "UNIT_FILE_BYTES", 100)
    once = download(folder, *mixed)
    assert [path.split("/", 2)[2] for path in once.parts] == [
        "data/part-00000.parquet",
        "data/part-00001.parquet",
        "data/part-00002.parquet",
        "data/part-00003.parquet",
        "ledger/part-00001.parquet",
        "ledger/part-00003.parquet",
    ]
    assert download(folder, *mixed, runner=ReversedRunner()).parts == once.parts
    with LocalRunner(2) as runner:
        spawned = download(folder, *mixed, runner=runner)
    assert (spawned.parts, spawned.stats) == (once.parts, once.stats)


def test_small_files_share_a_part(folder: Path, mixed):
    paths = [path.split("/", 2)[2] for path in download(folder, *mixed).parts]
    assert paths == [f"{kind}/part-0000{index}.parquet" for kind in ("data", "ledger") for index in (0, 1)]


def test_a_large_file_becomes_several_parts_in_the_order_of_reading(folder: Path, monkeypatch):
    monkeypatch.setattr(parts.UnitParts.__init__, "__defaults__", (1000,))
    texts = [f"{index:04d}" + "x" * 196 for index in range(12)]
    (folder / "a.jsonl").write_text(jsonl(texts) + jsonl(["y" * 5000]))
    result = download(folder, {"uri": "a.jsonl"})
    assert [path.split("/")[-1] for path in result.parts] == [
        "part-00000.parquet",
        "part-00000_001.parquet",
        "part-00000_002.parquet",
        "part-00000_003.parquet",
    ]
    assert result.texts == [*texts, "y" * 5000]


@pytest.mark.parametrize("limit", [1, 10, 11, 12, 24])
def test_a_limit_takes_the_first_documents_in_order_of_name(folder: Path, mixed, monkeypatch, limit):
    monkeypatch.setattr(units, "UNIT_FILE_BYTES", 100)
    whole = download(folder, mixed[0]).texts
    result = download(folder, {**mixed[0], "max_documents": limit}, runner=ReversedRunner())
    assert result.texts == whole[:limit]
    assert result.stats["documents_in"] == len(result.documents) + len(result.ledger)


def test_too_many_bad_records_of_one_source_fail_with_a_summary(folder: Path):
    (folder / "good.jsonl").write_text(jsonl(["good"] * 100))
    (folder / "bad.jsonl").write_text(jsonl(["good"] * 14 + [7, 8, 9, 10, ""]) + "{\n")
    sources = [{"name": "good", "uri": "good.jsonl"}, {"name": "bad", "uri": "bad.jsonl"}]
    assert download(folder, *sources, max_bad_fraction=0.3).stats["documents_dropped"] == 6
    with pytest.raises(BadInputFractionError) as caught:
        download(folder, *sources, max_bad_fraction=0.29)
    message = str(caught.value)
    assert "source 'bad': 6 of 20 records are unreadable (30.0%, allowed 29.0%)" in message
    assert "not_a_string 4 (first: bad.jsonl:15, bad.jsonl:16, bad.jsonl:17)" in message
    assert "empty_text 1 (first: bad.jsonl:19)" in message
    assert "invalid_json 1 (first: bad.jsonl:20)" in message


def test_a_source_without_a_record_is_an_input_error(folder: Path):
    (folder / "a.jsonl").write_text("\n\n")
    with pytest.raises(InputError, match="source 's0' holds no record"):
        download(folder, {"uri": "a.jsonl"})


def test_a_compressed_million_lines_stream_in_bounded_memory(folder: Path):
    with gzip.open(folder / "a.jsonl.gz", "wt", compresslevel=1) as out:
        for index in range(200_000):
            out.write(f'{{"text":"line {index} {"x" * 700}"}}\n')
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from tests.download.downloading import plan\n"
        "from pretrain.download.config import DownloadConfig\n"
        "from pretrain.download.stage import read_unit\n"
        "from pretrain.download.units import cut_units\n"
        "from pretrain.stage import UnitFiles\n"
        "from pretrain.store import LocalStore\n"
        "folder = Path(sys.argv[1])\n"
        "config = DownloadConfig.model_validate({'sources': [{'name': 's', 'uri': 'a.jsonl.gz'}]})\n"
        "(unit,) = cut_units(config, {entry.name: entry for entry in plan(folder, config)})\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "stats = read_unit(UnitFiles(LocalStore(folder.parent / 'store'), 'download/x'), unit)\n"
        "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "print(stats['documents_out'], grown >> 10)\n"
    )
    output = subprocess.check_output(
        [sys.executable, "-c", script, str(folder)], text=True, cwd=Path(__file__).parents[2]
    )
    num_documents, grown_mib = map(int, output.split())
    assert num_documents == 200_000
    assert grown_mib < 120  # of 143 MB of text


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no test data at {SHARED}: set PRETRAIN_SHARED_DATA")
def test_real_corpora(folder: Path):
    sources = [
        {"name": "cpp", "uri": str(SHARED / "corpora/cpp-docs/part-0000[13].parquet"), "id_key": "id"},
        {"name": "eips", "uri": str(SHARED / "corpora/eips.jsonl.gz"), "id_key": "id", "url_key": "url"},
        {"name": "books", "uri": str(SHARED / "corpora/books.jsonl.zst"), "id_key": "id"},
    ]
    result = download(folder, *sources, max_bad_fraction=0.0)
    assert result.stats["documents_by_source"] == {"books": 6, "cpp": 4873, "eips": 949}
    assert result.stats["bytes_out"] == 11_523_500 + 12_318_531 + 6_417_390 + 4_208_576


def test_documents_are_counted_by_licence(folder: Path):
    rows = [
        *[{"text": "t", "license": "MIT"}] * 2,
        {"text": "t", "license": " MIT "},
        {"text": "t", "license": ""},
        {"text": "t", "license": None},
        {"text": "t", "license": ["MIT", "BSD"]},
        {"text": "t", "license": "x" * 81},
        {"text": "", "license": "GPL"},
        {"text": "t"},
    ]
    (folder / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    assert download(folder, {"uri": "a.jsonl"}).stats["documents_by_license"] == {"MIT": 3, "other": 1, "unknown": 4}
    licensed = download(folder, {"uri": "a.jsonl", "license": "CC0-1.0"})
    assert licensed.stats["documents_by_license"] == {"CC0-1.0": 3, "MIT": 3, "other": 1, "unknown": 1}


def test_a_flood_of_licence_names_does_not_swell_the_manifest(folder: Path):
    rows = [{"text": "t", "license": f"licence {index:04d}"} for index in range(1000)]
    (folder / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    licenses = download(folder, {"uri": "a.jsonl"}).stats["documents_by_license"]
    assert (len(licenses), licenses["licence 0199"], licenses["other"]) == (201, 1, 800)
