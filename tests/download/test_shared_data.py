"""Every file of the shared test data, read as a source of its own."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.download.downloading import download

SHARED = Path(os.environ.get("PRETRAIN_SHARED_DATA", Path(__file__).parents[2] / "../shared/data"))
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no test data at {SHARED}: set PRETRAIN_SHARED_DATA")

# Where the field with the text has another name, or text is not UTF-8; every other file is read as it is.
OPTIONS: dict[str, dict[str, Any]] = {
    "eval/TruthfulQA.csv": {"text_key": "Question"},
    "eval/arc_easy.jsonl.gz": {"text_key": "question"},
    "eval/basic_arithmetic.jsonl.gz": {"text_key": "question"},
    "eval/copa.jsonl.gz": {"text_key": "premise"},
    "eval/gsm8k_test.jsonl": {"text_key": "question"},
    "eval/gsm8k_train.jsonl": {"text_key": "question"},
    "eval/mmlu_part1.jsonl.gz": {"text_key": "question"},
    "eval/oe_arc_easy__rc_0shot.jsonl.gz": {"text_key": "request.context"},
    "eval/openbookqa.jsonl.gz": {"text_key": "question_stem"},
    "eval/piqa.jsonl.gz": {"text_key": "goal"},
    "eval/truthfulqa_mc_task.json": {"text_key": "question"},
    "eval/winogrande_xl.jsonl.gz": {"text_key": "sentence"},
    "eval/blimp_part1.jsonl.gz": {"text_key": "sentence_good"},
    "make_bulk.py": {"format": "code"},
}
# Documents that README.md does not count, counted with `zcat | wc -l` or by what it says in words.
NUM_DOCUMENTS = {
    "eval/TruthfulQA.csv": 790,
    "eval/truthfulqa_mc_task.json": 790,
    "eval/gsm8k_test.jsonl": 1319,
    "eval/gsm8k_train.jsonl": 7473,
    "eval/lambada_test_openai.jsonl": 5153,
    "eval/oe_arc_easy__rc_0shot.jsonl.gz": 4562,
    "make_bulk.py": 1,
}
_TABLE_ROW = re.compile(r"^\| (?P<file>[\w/.-]+) \|.*\| (?P<documents>\d+) \| \d+ \| \d+ \| [0-9a-f]{64} \|$", re.M)


def counted() -> dict[str, int]:
    """Documents by file, as the table of README.md has them."""
    rows = _TABLE_ROW.finditer((SHARED / "README.md").read_text())
    return {row["file"]: int(row["documents"]) for row in rows} | NUM_DOCUMENTS


def files() -> list[str]:
    paths = (path.relative_to(SHARED).as_posix() for path in SHARED.rglob("*") if path.is_file())
    return sorted(path for path in paths if not path.startswith(("corpora/speeches_txt/", "warc/")))


@pytest.mark.parametrize("file", files() if SHARED.is_dir() else [])
def test_every_file_is_conserved(folder: Path, file):
    result = download(folder, {"uri": str(SHARED / file), **OPTIONS.get(file, {})})
    assert result.stats["documents_in"] == len(result.documents) + len(result.ledger)
    assert len({row.id for row in [*result.documents, *result.ledger]}) == result.stats["documents_in"]
    if file in counted():
        assert (len(result.documents), result.reasons) == (counted()[file], [])


def test_speeches_are_one_document_a_file(folder: Path):
    strict = download(folder, {"uri": str(SHARED / "corpora/speeches_txt")})
    assert strict.stats["documents_in"] == 124
    assert {reason for reason, _ in strict.reasons} <= {"invalid_utf8"}
    latin = download(folder, {"uri": str(SHARED / "corpora/speeches_txt"), "encoding": "latin-1"})
    assert (len(latin.documents), latin.ledger) == (124, [])
    assert sum(len(document.text.encode("latin-1")) for document in latin.documents) == 2_880_974


def test_crawl_files_are_conserved(folder: Path):
    sources = [
        {"name": "edge", "uri": str(SHARED / "warc/edge")},
        {"name": "dolma", "uri": str(SHARED / "warc/dolma-sample-0000.warc.gz")},
        {"name": "whirlwind", "uri": str(SHARED / "warc/whirlwind*")},
    ]
    result = download(folder, *sources)
    assert result.stats["documents_in"] == len(result.documents) + len(result.ledger)
    assert len({row.id for row in [*result.documents, *result.ledger]}) == result.stats["documents_in"]
    assert result.stats["documents_by_source"] == {"dolma": 22, "edge": 10, "whirlwind": 2}


@pytest.mark.slow
def test_every_page_of_a_long_diary_is_a_document(folder: Path):
    result = download(folder, {"uri": str(SHARED / "warc/pepys-diary.warc.gz")})
    assert (len(result.documents), result.ledger) == (123, [])


def test_scraped_code_keeps_its_licences(folder: Path):
    result = download(folder, {"uri": str(SHARED / "code/github_sample.jsonl.gz"), "columns": ["path"]})
    assert result.stats["documents_by_license"] == {"apache-2.0": 28, "bsd-2-clause": 1, "bsd-3-clause": 13, "mit": 58}
