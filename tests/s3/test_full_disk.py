"""A store in S3 whose cache on this machine is full: what needs the cache names it, the rest goes on without."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pretrain.artifact import Artifact
from pretrain.dag import node, stages_of
from pretrain.errors import StoreFullError
from pretrain.pipeline import Pipeline
from pretrain.remote_store import RemoteStore
from pretrain.runner import InlineRunner
from pretrain.runs import recorded_run
from pretrain.spec import RunSpec
from tests.content import content_of, counted
from tests.disks import Disk, mounted_disk
from tests.s3.bucket import content_of_bucket, objects_of
from tests.s3.server import S3Server
from tests.tiny import write_recipe

pytestmark = pytest.mark.slow  # each runs the DAG


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="module")
def expected(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a store has that is never full, without eval."""
    store = tmp_path_factory.mktemp("local")
    build_all(RunSpec(recipe=str(recipe), store=str(store)).pipeline())
    return content_of(store)


@pytest.fixture
def cache(s3_store: RemoteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """The cache of this machine, a disk of its own."""
    with mounted_disk(tmp_path / "disk") as disk:
        monkeypatch.setenv("PRETRAIN_CACHE_DIR", str(disk.folder / "cache"))
        yield disk


def build(pipeline: Pipeline, stage: str, built: dict[str, Artifact]) -> None:
    inputs = {role: built[name] for role, name in node(stage).inputs(pipeline.recipe).items()}
    progress = lambda done, total, text: None  # noqa: E731
    built[stage] = pipeline.obtain(stage, inputs, runner=InlineRunner(), progress=progress).artifact


def build_all(pipeline: Pipeline) -> None:
    built: dict[str, Artifact] = {}
    for stage in stages_of(pipeline.recipe, "train"):
        build(pipeline, stage, built)


@pytest.mark.parametrize(
    ("kilobytes_free", "is_moved"),
    [(0, False), (60, False), (12, True)],
    ids=["full", "nearly full", "each stage on another machine"],
)
def test_every_stage_says_when_the_cache_is_full(
    s3_server: S3Server,
    s3_store: RemoteStore,
    prefix: str,
    recipe: Path,
    expected: dict[str, Any],
    cache: Disk,
    kilobytes_free: int,
    is_moved: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = RunSpec(recipe=str(recipe), store=s3_store.url)
    pipeline = spec.pipeline()
    built: dict[str, Artifact] = {}
    full = []
    for stage in stages_of(pipeline.recipe, "train"):
        if is_moved:
            shutil.rmtree(cache.folder / "cache", ignore_errors=True)
            pipeline = spec.pipeline()
            built = {name: pipeline.open(artifact.key) for name, artifact in built.items()}
        cache.leave_free(kilobytes_free)
        try:
            build(pipeline, stage, built)
        except StoreFullError as error:
            assert error.stage == stage
            assert str(cache.folder) in str(error)
            assert "free some space, then run the same command to resume" in str(error)
            full.append(stage)
        cache.resize(50_000)
        build(pipeline, stage, built)
    assert content_of_bucket(s3_server, prefix) == expected
    assert len(full) >= 5
    assert not [key for key in objects_of(s3_server, prefix) if "/checkpoints/" in key or "/scratch/" in key]
    assert list((cache.folder / "cache" / "scratch").iterdir()) == []

    cache.leave_free(0)
    with recorded_run(spec.model_copy(update={"until": "train"})) as run:  # what is there needs no cache to be found
        build_all(run.pipeline())
    with capsys.disabled():
        print(f"\n{kilobytes_free} kB free: full in {', '.join(full)}, each resumed; {counted(expected)}")
