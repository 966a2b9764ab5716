"""Disks that fill up beside a local store's: in the middle of a checkpoint, in the temporary folder, in the cache."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pretrain.artifact import Artifact
from pretrain.dag import node, stages_of
from pretrain.errors import StoreFullError
from pretrain.pipeline import Pipeline
from pretrain.runner import InlineRunner
from pretrain.spec import RunSpec
from tests.command import pretrain
from tests.content import content_of, counted
from tests.disks import Disk, mounted_disk
from tests.flows.conftest import Run

pytestmark = pytest.mark.slow  # each starts a training, an evaluation or a server


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted_disk(tmp_path / "disk") as disk:
        yield disk


def prepared(tiny_run: Run, store: Path, stage: str) -> tuple[Pipeline, dict[str, Artifact]]:
    """A pipeline over a store with all that comes before a stage, and the inputs of the stage."""
    pipeline = RunSpec(recipe=str(tiny_run.recipe), store=str(store)).pipeline()
    stages = stages_of(pipeline.recipe)
    for name in stages[: stages.index(stage)]:
        shutil.copytree(tiny_run.store / name, store / name)
    roles = node(stage).inputs(pipeline.recipe)
    keys = {name.split("/")[0]: name for name in content_of(store)}
    return pipeline, {role: pipeline.open(keys[name]) for role, name in roles.items()}


@pytest.mark.parametrize(
    ("kilobytes_free", "first"),
    [(100, "step 0/12"), (900, "resuming after step 4/12")],
    ids=["the first checkpoint", "the second checkpoint"],
)
def test_full_in_the_middle_of_a_checkpoint(
    tiny_run: Run, disk: Disk, kilobytes_free: int, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = disk.folder / "store"
    pipeline, inputs = prepared(tiny_run, store, "train")
    told: list[str] = []

    def progress(done: int, total: int, text: str) -> None:
        told.append(text)

    disk.leave_free(kilobytes_free)
    with pytest.raises(StoreFullError, match=f"no space left .*{disk.folder}"):
        pipeline.obtain("train", inputs, runner=InlineRunner(), progress=progress)
    disk.resize(50_000)
    told.clear()
    artifact = pipeline.obtain("train", inputs, runner=InlineRunner(), progress=progress).artifact
    assert told[0] == first
    expected = content_of(tiny_run.store)
    assert content_of(store)[artifact.key] == expected[artifact.key]
    say(capsys, f"1 disk full with {kilobytes_free} kB free, {told[0]}", store, artifact.key)
    assert not (store / artifact.key / "checkpoints").exists()
    assert list((store / ".tmp").iterdir()) == []


@pytest.mark.parametrize(("stage", "kilobytes_free"), [("tokenizer", 0), ("tokenizer", 8), ("eval", 8), ("eval", 40)])
def test_a_full_temporary_folder(
    tiny_run: Run,
    disk: Disk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    kilobytes_free: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pipeline, inputs = prepared(tiny_run, tmp_path / "store", stage)
    monkeypatch.setenv("TMPDIR", str(disk.folder))
    monkeypatch.setattr(tempfile, "tempdir", str(disk.folder))  # it looks for one once a process
    disk.leave_free(kilobytes_free)
    progress = lambda done, total, text: None  # noqa: E731
    with pytest.raises(StoreFullError, match=f"no space left .* the temporary folder {disk.folder}"):
        pipeline.obtain(stage, inputs, runner=InlineRunner(), progress=progress)
    assert list(disk.folder.iterdir()) == []
    disk.resize(50_000)
    artifact = pipeline.obtain(stage, inputs, runner=InlineRunner(), progress=progress).artifact
    assert content_of(tmp_path / "store")[artifact.key] == content_of(tiny_run.store)[artifact.key]
    say(capsys, f"1 temporary folder full with {kilobytes_free} kB free in {stage}", tmp_path / "store", artifact.key)


def test_a_temporary_folder_without_space_for_the_prefect_server(tiny_run: Run, disk: Disk, tmp_path: Path) -> None:
    disk.resize(100)
    options = ("--store", tmp_path / "store", "--until", "download", "--json")
    ended = pretrain("run", tiny_run.recipe, *options, TMPDIR=str(disk.folder))
    assert ended.code == 1
    words = f"no space left for the embedded Prefect server in {disk.folder} "
    assert ended.out["error"]["message"].startswith(words)
    assert "Traceback" not in ended.errors
    assert list(disk.folder.iterdir()) == []


def test_a_full_cache_costs_a_local_store_speed_alone(
    tiny_run: Run, disk: Disk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk.resize(4)
    cache = {"PRETRAIN_CACHE_DIR": str(disk.folder / "cache")}
    ended = pretrain("run", tiny_run.recipe, "--store", tmp_path / "store", "--until", "pack", "--json", **cache)
    assert ended.code == 0, ended.errors
    assert [stage["action"] for stage in ended.out["stages"]] == ["built"] * 7
    content, expected = content_of(tmp_path / "store"), content_of(tiny_run.store)
    assert content == {key: expected[key] for key in content}
    say(capsys, "1 run with a full cache", tmp_path / "store", *content)


def say(capsys: pytest.CaptureFixture[str], tried: str, store: Path, *keys: str) -> None:
    """Prints what was tried and compared, past the capture of pytest."""
    content = content_of(store)
    with capsys.disabled():
        print(f"\n{tried}; {counted({key: content[key] for key in keys})}")
