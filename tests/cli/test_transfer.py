"""`pretrain export` and `pretrain import`: what they print, their JSON, and a kill in the middle."""

import os
import signal
import time
from pathlib import Path

import pytest

from pretrain.artifact import Manifest
from pretrain.stage import UnitFiles, part_name
from pretrain.store import LocalStore
from tests.cli.fabricated import RUN_ID, Fabricated, fabricate
from tests.cli.test_commands import Answer
from tests.command import pretrain, start
from tests.content import content_of

NUM_PARTS = 300
PART_BYTES = 1 << 17


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Fabricated:
    return fabricate(tmp_path_factory.mktemp("fabricated") / "store")


def test_a_run_goes_out_and_comes_back(made: Fabricated, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    out = Answer("export", RUN_ID, there, "--store", made.store.url, "--json")
    assert (out.code, out.errors) == (0, "")
    assert out.out == {
        "run_id": RUN_ID,
        "from": made.store.url,
        "to": str(there),
        "artifacts_copied": 4,
        "artifacts_present": 0,
        "files": 14,
        "bytes": out.out["bytes"],
    }
    assert out.out["bytes"] == sum(p.stat().st_size for p in there.rglob("*") if p.is_file() and "runs" not in p.parts)
    home = Answer("import", "latest", there, "--store", back, "--json")
    assert (home.code, home.out["from"], home.out["to"]) == (0, str(there), str(back))
    assert content_of(back) == content_of(made.store.root)
    people = Answer("import", "latest", there, "--store", back)
    assert people.text == (
        f"imported {RUN_ID} from {there} to {back}: 0 artifacts copied, 4 there already; 0 files, 0 B\n"
    )
    assert people.errors == ""


def test_one_artifact(made: Fabricated, tmp_path: Path) -> None:
    answer = Answer("export", "filter/bb", tmp_path / "there", "--store", made.store.url, "--json")
    assert (answer.code, answer.out["run_id"], answer.out["artifacts_copied"]) == (0, None, 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("export", "yesterday", "THERE"), "no run 'yesterday' in STORE"),
        (("export", "filter/ff", "THERE"), "STORE has no finished artifact 'filter/ff'"),
        (("export", "latest", "STORE"), "STORE is both where to copy from and where to copy to"),
        (("import", "latest", "THERE"), "the store THERE has no run yet"),
    ],
)
def test_what_cannot_be_copied(made: Fabricated, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    def placed(text: str) -> str:
        return text.replace("STORE", made.store.url).replace("THERE", str(tmp_path / "there"))

    answer = Answer(*map(placed, arguments), "--store", made.store.url, "--json")
    assert (answer.code, answer.text) == (2, "")
    assert placed(words) in answer.errors and "Traceback" not in answer.errors
    assert not (tmp_path / "there").exists()


def test_damage_ends_it_with_1_and_names_the_part(tmp_path: Path) -> None:
    own = fabricate(tmp_path / "store")
    path = own.store.root / own.artifacts["dedup"].key / "data/part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    answer = Answer("export", "latest", tmp_path / "there", "--store", own.store.url)
    assert answer.code == 1
    assert f"{own.artifacts['dedup'].key} is damaged: data/part-00000.parquet (wrong sha256);" in answer.errors


def test_killed_in_the_middle_the_same_command_goes_on(tmp_path: Path) -> None:
    store, there = make_large(tmp_path / "store"), tmp_path / "there"
    arguments = ("export", "pack/ab", there, "--store", store.url, "--json")
    process = start(*arguments)
    folder = there / "pack" / ("ab" * 16) / "data"
    while not folder.is_dir() or len(list(folder.iterdir())) < 20:
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    num_there = len(list(folder.iterdir()))
    assert 20 <= num_there < NUM_PARTS
    assert not (folder.parent / "manifest.json").exists()
    ended = pretrain(*arguments)
    assert (ended.code, ended.errors) == (0, "")
    assert ended.out["files"] == NUM_PARTS - num_there + 1
    assert content_of(there) == content_of(store.root)


def make_large(root: Path) -> LocalStore:
    """A store with one artifact of many parts, which takes a moment to copy."""
    store, fingerprint = LocalStore(root), "ab" * 16
    files = UnitFiles(store, f"pack/{fingerprint}")
    for index in range(NUM_PARTS):
        with files.create(f"data/{part_name(index)}.tokens") as output:
            output.path.write_bytes(index.to_bytes(4, "big") * (PART_BYTES // 4))
    fields = {"stage": "pack", "stage_version": 1, "fingerprint": fingerprint, "inputs": [], "config": {}}
    manifest = Manifest(**fields, parts=files.written, stats={}, provenance={})
    store.write_bytes(f"pack/{fingerprint}/manifest.json", manifest.to_bytes())
    return store
