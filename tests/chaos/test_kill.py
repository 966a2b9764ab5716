"""A run that is killed at random moments, and run again each time, ends as one that was not disturbed.

kill -9 of the whole process group, at moments drawn from a seed: while the server starts, in every stage, in training
after a checkpoint exists. The training process, the workers and the embedded server are in sessions of their own or
wait on pipes, so they have to notice by themselves.
"""

import collections
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.chaos.killing import HeardRun
from tests.command import ENVIRONMENT, pretrain
from tests.content import content_of, num_parts
from tests.tiny import write_recipe

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

STAGES = ["download", "filter", "dedup", "language", "shard", "tokenizer", "pack", "init", "train", "eval"]
MIN_KILLS = 20
MAX_STEPS = 600  # 3 s of steps, which is long enough to be hit between two checkpoints
# Imports on a busy machine take their time; a process that waits for nothing is gone at once.
GRACE_SECONDS = 20.0


class Reference(NamedTuple):
    """The undisturbed run: its recipe, its store, what is in it, and how long each stage took."""

    recipe: Path
    store: Path
    content: dict[str, Any]
    seconds: dict[str, float]


@dataclass
class Tried:
    """What the chains of this file did, printed at the end."""

    kills: int = 0
    hits: collections.Counter[str] = field(default_factory=collections.Counter)
    runs: int = 0
    resumes: list[str] = field(default_factory=list)
    artifacts: int = 0
    parts: int = 0
    bytes: int = 0


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("undisturbed")
    recipe = write_recipe(folder, train={"max_steps": MAX_STEPS, "save_every_steps": 20, "log_every_steps": 50})
    ended = pretrain("run", recipe, "--store", folder / "store", "--json")
    assert ended.code == 0, ended.errors
    content = content_of(folder / "store")
    assert [stage["stage"] for stage in ended.out["stages"]] == STAGES
    return Reference(recipe, folder / "store", content, {s["stage"]: s["seconds"] for s in ended.out["stages"]})


@pytest.fixture(scope="module")
def tried(request: pytest.FixtureRequest) -> Iterator[Tried]:
    tried = Tried()
    yield tried
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\nkills: {tried.kills};", ", ".join(f"{stage} {n}" for stage, n in tried.hits.items()))
        print(f"runs: {tried.runs}; resumed trainings: {', '.join(tried.resumes)}")
        print(f"compared: {tried.artifacts} artifacts, {tried.parts} parts, {tried.bytes:,} bytes")


class Moment(NamedTuple):
    """When to kill: so far into a stage (as a fraction of the time it took undisturbed), or into the start.

    `is_checkpointed` waits for a new checkpoint first, and takes the fraction of a third of a second.
    """

    stage: str
    fraction: float
    is_checkpointed: bool = False


# Every stage is hit with a server that stays up, which costs half the time; some with an embedded server each. pack
# and init run side by side, and what is killed second may be finished by then: pack has a turn in both.
WITH_OWN_SERVER = (
    *("start", "download", "filter", "filter", "dedup", "dedup", "language", "shard", "shard", "tokenizer"),
    *("pack", "init", "train", "train", "train", "eval"),
)
WITH_EMBEDDED_SERVERS = ("start", "download", "dedup", "tokenizer", "pack", "init", "train", "train", "eval")


def moments(stages: tuple[str, ...], seed: int) -> list[Moment]:
    """Moments in the order of the DAG; the first kill of a training may come before its first checkpoint."""
    generator = random.Random(seed)
    first_train = stages.index("train")
    return [
        Moment(stage, generator.uniform(0.0, 0.9), is_checkpointed=stage == "train" and index > first_train)
        for index, stage in enumerate(stages)
    ]


class Chain(NamedTuple):
    """The kills of one store, one after the other, and the environment of its commands."""

    moments: list[Moment]
    environment: dict[str, str]


@pytest.fixture(params=["embedded servers", "own server"])
def chain(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Chain]:
    environment = {"TMPDIR": str(tmp_path / "tmp"), "PRETRAIN_CACHE_DIR": str(tmp_path / "cache")}
    (tmp_path / "tmp").mkdir()
    if request.param == "embedded servers":
        yield Chain(moments(WITH_EMBEDDED_SERVERS, seed=0), environment)
        return
    home = tmp_path / "prefect"
    home.mkdir()
    server = subprocess.Popen(
        [sys.executable, "-m", "flows.embedded_server", str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    yield Chain(moments(WITH_OWN_SERVER, seed=1), {**environment, "PREFECT_API_URL": url})
    server.communicate()


def test_killed_at_random_moments_it_ends_as_if_undisturbed(
    reference: Reference, tried: Tried, chain: Chain, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    arguments = (reference.recipe, "--store", store)
    run = HeardRun(*arguments, **chain.environment)
    tried.runs += 1
    for moment in chain.moments:
        if not wait_for(run, moment, store, reference.seconds):
            continue  # it was finished in the moment of an earlier kill
        killed = run.building()
        run.stop(signal.SIGKILL)
        run.end()
        assert run.survivors(GRACE_SECONDS) == []
        tried.kills += 1
        tried.hits.update(killed or [moment.stage])
        tried.resumes += resumes_in(run)
        assert_sound(store, reference)
        run = HeardRun(*arguments, **chain.environment)
        tried.runs += 1
    ended = run.end()
    assert ended.code == 0, ended.errors
    tried.resumes += resumes_in(run)
    assert (ended.out["state"], [stage["stage"] for stage in ended.out["stages"]]) == ("completed", STAGES)
    assert content_of(store) == reference.content
    assert run.survivors(GRACE_SECONDS) == []
    assert list((tmp_path / "tmp").glob("pretrain-prefect-*")) == []
    tried.artifacts += len(reference.content)
    tried.parts += num_parts(reference.content)
    tried.bytes += sum(p["bytes"] for a in reference.content.values() for p in a["manifest"]["parts"])


def test_enough_was_tried(tried: Tried) -> None:
    if tried.runs == 0:
        pytest.skip("the chains were not run")
    assert tried.kills >= MIN_KILLS
    assert set(tried.hits) >= set(STAGES)
    assert any(0 < int(step) < MAX_STEPS for step in tried.resumes)  # at the last, only the export was left


def wait_for(run: HeardRun, moment: Moment, store: Path, seconds: dict[str, float]) -> bool:
    """Waits for a moment; False when the stage is found finished. Kills at the end of a stage that was faster."""
    if moment.stage == "start":
        time.sleep(moment.fraction * 8)
        return True
    assert run.wait_until(lambda: run.state(moment.stage) is not None, 240), "\n".join(run.lines)
    if run.state(moment.stage) != "...":
        return False
    delay = moment.fraction * seconds[moment.stage]
    if moment.is_checkpointed:
        before = checkpoints_in(store)
        run.wait_until(lambda: run.state("train") != "..." or bool(checkpoints_in(store) - before), 240)
        delay = moment.fraction / 3
    is_over = time.monotonic() + delay
    run.wait_until(lambda: run.state(moment.stage) != "..." or time.monotonic() >= is_over, 240)
    return True


def checkpoints_in(store: Path) -> set[str]:
    return {path.parent.name for path in store.glob("train/*/checkpoints/step-*/complete.json")}


def resumes_in(run: HeardRun) -> list[str]:
    """The steps after which training was resumed, from the log of the run."""
    return [line.split("resuming after step ")[1].split("/")[0] for line in run.lines if "resuming after step" in line]


def assert_sound(store: Path, reference: Reference) -> None:
    """After a kill: what is finished is as it should be, and what has a receipt is there, byte for byte."""
    for name, artifact in content_of(store).items():
        assert artifact == reference.content[name]
    for receipt in store.glob("*/*/receipts/*.json"):
        artifact_folder = receipt.parents[1]
        for file in json.loads(receipt.read_text())["files"]:
            if file["path"].startswith("scratch/") and (artifact_folder / "manifest.json").exists():
                continue  # removed after the manifest was written
            data = (artifact_folder / file["path"]).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])


@pytest.mark.parametrize("stage", ["dedup", "pack", "train"])
def test_ctrl_c_stops_cleanly_and_the_same_command_resumes(reference: Reference, tmp_path: Path, stage: str) -> None:
    store = tmp_path / "store"
    store.mkdir()
    for name in STAGES[: STAGES.index(stage)]:
        shutil.copytree(reference.store / name, store / name)
    environment = {"TMPDIR": str(tmp_path / "tmp"), "PRETRAIN_CACHE_DIR": str(tmp_path / "cache")}
    (tmp_path / "tmp").mkdir()
    arguments = (reference.recipe, "--store", store, "--until", "dedup" if stage == "dedup" else "train")
    run = HeardRun(*arguments, **environment)
    assert wait_for(run, Moment(stage, 0.2, is_checkpointed=stage == "train"), store, reference.seconds)
    assert stage in run.building()
    run.stop(signal.SIGINT)
    ended = run.end(60)
    assert ended.code == 1, ended.errors
    message = "stopped by Ctrl-C; completed parts are kept"
    assert ended.out["state"] == "failed"
    assert (ended.out["error"]["stage"], ended.out["error"]["message"]) == (stage, message)
    assert f"error in stage {stage}: {message}" in ended.errors
    assert list(store.glob(f"{stage}/*/manifest.json")) == []
    assert run.survivors(5.0) == []
    assert list((tmp_path / "tmp").glob("pretrain-*")) == []
    assert_sound(store, reference)

    resumed = HeardRun(*arguments, **environment)
    assert resumed.end().code == 0
    built = STAGES[: 3 if stage == "dedup" else 9]
    assert content_of(store) == {name: a for name, a in reference.content.items() if name.split("/")[0] in built}
    assert [int(step) > 0 for step in resumes_in(resumed)] == ([True] if stage == "train" else [])
