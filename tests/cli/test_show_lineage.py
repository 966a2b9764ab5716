"""`pretrain show --lineage`: the tree as people and programs read it."""

import json
from pathlib import Path

import pytest

from pretrain.artifact import Manifest
from pretrain.stage import UnitFiles
from tests.cli.fabricated import FINGERPRINTS, Fabricated, fabricate
from tests.cli.test_commands import Answer

IDENTITY = "sha256:" + "0123456789abcdef" * 4


def list_files(made: Fabricated, num_files: int) -> None:
    """Gives the download the listing of its source."""
    download = made.artifacts["download"]
    files = UnitFiles(made.store, download.key)
    rows = [{"name": f"[{n:02}].jsonl", "identity": IDENTITY, "bytes": 1500} for n in range(num_files)]
    with files.create("inputs/source-wiki.jsonl") as output:
        output.path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = Manifest.model_validate(download.manifest.model_dump() | {"parts": files.written})
    made.store.write_bytes(f"{download.key}/manifest.json", manifest.to_bytes())


@pytest.fixture
def made(tmp_path: Path) -> Fabricated:
    return fabricate(tmp_path / "store")


def test_the_tree_for_people(made: Fabricated) -> None:
    list_files(made, 1)
    answer = Answer("show", "filter/bb", "--lineage", "--store", made.store.url)
    assert answer.code == 0
    assert answer.text.splitlines() == [
        f"filter/{FINGERPRINTS['filter']}",
        "2026-01-02T03:04:05+00:00",
        "documents 4",
        f"└── download/{FINGERPRINTS['download']}",
        "    2026-01-02T03:04:05+00:00",
        "    documents 5",
        f"    └── source:wiki {'ee' * 16}",
        "        1 file, 1.5 kB",
        "        └── [00].jsonl  1.5 kB  sha256:0123456789abcdef…",
    ]


def test_twenty_files_of_a_source_for_people_and_all_in_json(made: Fabricated) -> None:
    list_files(made, 23)
    lines = Answer("show", "download/aa", "--lineage", "--store", made.store.url).text.splitlines()
    assert [line.split()[1] for line in lines[-21:-1]] == [f"[{n:02}].jsonl" for n in range(20)]
    assert lines[-1].strip() == "└── … and 3 more (--json has all)"
    tree = Answer("show", "shard/dd", "--lineage", "--store", made.store.url, "--json").out
    for stage in ("shard", "dedup", "filter"):
        assert (tree["stage"], tree["fingerprint"]) == (stage, FINGERPRINTS[stage])
        (tree,) = tree["inputs"]
    (source,) = tree["outside"]
    assert (source["name"], len(source["files"]), source["files"][22]["identity"]) == ("source:wiki", 23, IDENTITY)


def test_what_is_gone_and_what_was_not_listed(made: Fabricated) -> None:
    text = Answer("show", "download/aa", "--lineage", "--store", made.store.url).text
    assert f"source:wiki {'ee' * 16} (its files were not listed)" in text
    made.store.delete(made.artifacts["download"].key)
    text = Answer("show", "filter/bb", "--lineage", "--store", made.store.url).text
    assert f"download/{FINGERPRINTS['download']} (no longer in the store)" in text
