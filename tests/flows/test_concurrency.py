"""Two runs of one recipe into one store at the same time: both end well, and there is one valid artifact of each."""

import contextlib
import multiprocessing
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from pretrain.artifact import find_damage
from pretrain.catalog import all_artifacts
from pretrain.dag import node, stages_of
from pretrain.filehash import FileHashes
from pretrain.pipeline import Pipeline
from pretrain.remote_store import RemoteStore
from pretrain.runner import InlineRunner
from pretrain.spec import RunSpec
from pretrain.store import LocalStore
from tests.command import finish, pretrain, start
from tests.content import content_of
from tests.flows.conftest import Run

DATA_STAGES = ["download", "filter", "dedup", "language", "shard"]


class WholePuts(LocalFileSystem):  # type: ignore[misc]
    """Behaves as an object store does: a put is whole or absent, folders need not exist, and there is no lock."""

    protocol = "whole"

    @classmethod
    def _strip_protocol(cls, path: Any) -> str:
        return str(super()._strip_protocol(str(path).removeprefix("whole://")))

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        target = Path(self._strip_protocol(rpath))
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = target.parents[3] / f".put-{uuid.uuid4().hex}"
        shutil.copyfile(lpath, hidden)
        hidden.replace(target)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        target = Path(self._strip_protocol(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = target.parents[1] / f".put-{uuid.uuid4().hex}"
        hidden.write_bytes(value)
        hidden.replace(target)


def expected_content(run: Run, stages: list[str]) -> dict[str, Any]:
    return {name: value for name, value in content_of(run.store).items() if name.split("/")[0] in stages}


@pytest.fixture
def server(prefect_server: None) -> str:
    """The url of a server that runs: a command that is given one starts in half the time."""
    from prefect.settings import PREFECT_API_URL

    return str(PREFECT_API_URL.value())


def test_two_commands_into_one_store(tiny_run: Run, server: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    arguments = ("run", tiny_run.recipe, "--store", store, "--until", "tokenizer", "--workers", "1", "--json")
    commands = [start(*arguments, PREFECT_API_URL=server) for _ in range(2)]
    actions = []
    for ended in map(finish, commands):
        assert ended.code == 0, ended.errors
        assert ended.out["state"] == "completed"
        actions.append([(stage["stage"], stage["action"]) for stage in ended.out["stages"]])
    for first, second in zip(*actions, strict=True):
        assert {first, second} == {(first[0], "built"), (first[0], "cached")}  # one waited for the other
    assert content_of(store) == expected_content(tiny_run, [*DATA_STAGES, "tokenizer"])
    assert list((store / ".tmp").iterdir()) == []
    verdict = pretrain("verify", "--store", store, "--json")
    assert (verdict.code, verdict.out["artifacts"], verdict.out["damaged"]) == (0, 6, [])


@pytest.mark.slow
def test_two_runs_into_a_store_without_a_lock(tiny_run: Run, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    racers = [
        context.Process(target=race, args=(str(tiny_run.recipe), f"whole://{bucket}/store", tmp_path / name, *shared))
        for name, shared in (("a", (barrier, answers)), ("b", (barrier, answers)))
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [racer.exitcode for racer in racers] == [0, 0]
    actions = [answers.get(timeout=10) for _ in racers]
    for stage in DATA_STAGES:
        assert "built" in [answer[stage] for answer in actions]
    assert content_of(bucket / "store") == expected_content(tiny_run, DATA_STAGES)
    store = LocalStore(bucket / "store")
    assert [artifact.manifest.stage for artifact in all_artifacts(store)] == DATA_STAGES
    assert [find_damage(artifact, FileHashes(), rehash=True) for artifact in all_artifacts(store)] == [[]] * 5


class Overtaken(LocalStore):
    """A store without a lock, where another run ends a stage just after this one has looked for it a second time."""

    def __init__(self, root: Path, other: Callable[[], object]) -> None:
        super().__init__(root)
        self._other = other
        self._num_looks = 0

    def exclusive(self, key: str) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def read_bytes(self, key: str) -> bytes:
        if not key.endswith("/manifest.json"):
            return super().read_bytes(key)
        self._num_looks += 1
        try:
            return super().read_bytes(key)
        finally:
            if self._num_looks == 2:
                self._other()


def test_what_another_run_has_just_finished_stays(tiny_run: Run, tmp_path: Path) -> None:
    spec = RunSpec(recipe=str(tiny_run.recipe))
    recipe, folder = spec.load(), tiny_run.recipe.parent
    other = Pipeline(recipe, folder, LocalStore(tmp_path))

    def finish_elsewhere() -> None:
        other.obtain("download", {}, runner=InlineRunner(), progress=lambda done, total, text: None)

    def look(done: int, total: int, text: str) -> None:
        other.open(f"download/{other.identify('download', {}).fingerprint}")  # as the other run's next task does

    own = Pipeline(recipe, folder, Overtaken(tmp_path, finish_elsewhere))
    own.obtain("download", {}, runner=InlineRunner(), progress=look)
    assert content_of(tmp_path) == expected_content(tiny_run, ["download"])


def race(recipe: str, url: str, cache: Path, barrier: Any, answers: Any) -> None:
    """Obtains every data stage with the other process on its heels: both start each stage at the same moment."""
    os.environ["PRETRAIN_CACHE_DIR"] = str(cache)  # two machines share a bucket, not a cache
    fsspec.register_implementation("whole", WholePuts)
    spec = RunSpec(recipe=recipe, store=url)
    pipeline = Pipeline(spec.load(), Path(recipe).parent, RemoteStore(url))
    artifacts: dict[str, Any] = {}
    actions = {}
    try:
        for stage in stages_of(pipeline.recipe, "shard"):
            inputs = {role: artifacts[name] for role, name in node(stage).inputs(pipeline.recipe).items()}
            barrier.wait(timeout=120)
            outcome = pipeline.obtain(stage, inputs, runner=InlineRunner(), progress=lambda done, total, text: None)
            artifacts[stage] = pipeline.open(outcome.artifact.key)  # as the next task does
            actions[stage] = outcome.action
    except BaseException:
        barrier.abort()  # the other must not wait for this one
        raise
    answers.put(actions)
