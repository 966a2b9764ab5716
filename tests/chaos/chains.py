"""Chains of kills: a run of the driver is killed, run again on the same store, killed again, until it ends.

A moment is so far into a stage by the clock, or the n-th thing that happens in the store, which falls between a part
and its receipt, a receipt and the manifest, the manifest and the removal of scratch files.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pretrain.gc import Keep, collect
from pretrain.leases import LEASES, SWEEPS, Watch
from pretrain.store import open_store
from tests.chaos.killing import HeardRun
from tests.chaos.moments import STAGES, Moment
from tests.chaos.places import Place
from tests.chaos.soundness import assert_sound, content_in, leftovers_in, states_of
from tests.chaos.tried import Tried
from tests.chaos.watching import Events, num_changes
from tests.command import ENVIRONMENT
from tests.content import num_parts

START_SECONDS = 0.6
# Imports on a busy machine take their time; a process that waits for nothing is gone at once.
GRACE_SECONDS = 20.0
RUN_SECONDS = 240.0
# A run on another machine waits until the killed one has been silent for long; 60 s of it a kill would be an hour.
OPTIONS = ["--workers", "2", "--silence-seconds", "1"]


class Reference(NamedTuple):
    """The undisturbed run: its recipe, what it made, what happened in each stage, in how many seconds, and its last."""

    recipe: Path
    content: dict[str, Any]
    seconds: dict[str, float]
    events: dict[str, list[str]]
    until: str


class DriverRun(HeardRun):
    """`python -m tests.chaos.driver`, listened to."""

    def _start(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.driver", *map(str, arguments), *OPTIONS],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=Path(__file__).parents[2],
            env={**ENVIRONMENT, **environment},
        )

    def kill_driver(self) -> None:
        """Kills the driver and none of its children."""
        os.kill(self.process.pid, signal.SIGKILL)


def undisturbed(recipe: Path, place: Place, folder: Path, until: str = STAGES[-1]) -> Reference:
    """Runs a recipe to a stage and measures each; `folder` is for the cache and temporary files."""
    stages = STAGES[: STAGES.index(until) + 1]
    seconds: dict[str, float] = {}
    happened: dict[str, list[str]] = {}
    with place.watched() as events:
        run = DriverRun(recipe, place.url, "--until", until, **_environment(place, folder))
        for stage in stages:
            assert run.wait_until(lambda: run.state(stage) is not None, RUN_SECONDS), "\n".join(run.lines)  # noqa: B023
            begun, first = time.monotonic(), len(events)
            run.wait_until(lambda: run.state(stage) == "built", RUN_SECONDS)  # noqa: B023
            seconds[stage], happened[stage] = time.monotonic() - begun, events.since(first)
        ended = run.end()
    assert ended.code == 0, ended.errors
    content = content_in(place.files())
    assert {name.split("/")[0] for name in content} == set(stages)
    return Reference(recipe, content, seconds, happened, until)


def run_chain(place: Place, reference: Reference, chain: Sequence[Moment], folder: Path, tried: Tried) -> None:
    """Kills at each moment of a chain, then lets the last run end, and compares what it made.

    Args:
        place: an empty store.
        reference: what must come out.
        chain: the moments.
        folder: for the cache and temporary files.
        tried: counts.
    """
    begun = time.monotonic()
    environment = _environment(place, folder)
    with place.watched() as events:
        run = _start(place, reference, environment, tried)
        files: dict[str, bytes] = {}
        for moment in chain:
            if not wait_for(run, moment, reference, events):
                continue  # it was finished in the moment of an earlier kill
            hit = _kill(run, moment, tried)
            before, files = files, place.files()
            assert_sound(files, reference.content)
            tried.states.update(states_of(files, hit, before))
            if moment.is_moved:
                shutil.rmtree(folder / "cache", ignore_errors=True)
                tried.moves += 1
            run = _start(place, reference, environment, tried)
        ended = run.end()
    assert ended.code == 0, ended.errors
    assert run.survivors(GRACE_SECONDS) == []
    tried.resumes += resumes_in(run)
    files = place.files()
    assert content_in(files) == reference.content
    tried.chains += 1
    tried.artifacts += len(reference.content)
    tried.parts += num_parts(reference.content)
    tried.bytes += sum(part["bytes"] for a in reference.content.values() for part in a["manifest"]["parts"])
    tried.leftovers += leftovers_in(files)
    tried.uploads += place.num_uploads()
    tried.temporary.update("-".join(path.name.split("-")[:-1]) or "tmp" for path in (folder / "tmp").iterdir())
    tried.collected.update(collect_garbage(place, environment))
    files = place.files()
    assert (content_in(files), leftovers_in(files), place.num_uploads()) == (reference.content, {}, 0)
    tried.seconds += time.monotonic() - begun


def collect_garbage(place: Place, environment: dict[str, str]) -> list[str]:
    """Removes all that the newest run does not need, and returns what kinds of things that was.

    No one else is at work, so every lease is dead, and no write is too young to be an interrupted one.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        store = open_store(place.url)
        watch = Watch(store, silence_seconds=0.0)
        for folder in (LEASES, SWEEPS):
            watch.living(folder)  # a first look takes everyone for living
        keep = Keep(num_runs=1, grace_seconds=0.0)
        removed = collect(store, keep, lambda item: None, watch=watch, unfinished_seconds=0.0)
    return [item.kind for item in removed]


def wait_for(run: DriverRun, moment: Moment, reference: Reference, events: Events) -> bool:
    """Waits for a moment; False when the stage is found finished. A stage that was faster is killed at its end."""
    if moment.stage == "start":
        time.sleep(moment.fraction * START_SECONDS)
        return run.process.poll() is None
    assert run.wait_until(lambda: run.state(moment.stage) is not None, RUN_SECONDS), run.end()
    begun, first = time.monotonic(), len(events)
    if run.state(moment.stage) != "...":
        return False
    number = 1 + int(moment.fraction * num_changes(reference.events[moment.stage], moment.event or ""))
    seconds = reference.seconds[moment.stage]
    if moment.stage == "train" and moment.event is None:  # before its first step it imports torch: little to hit
        run.wait_until(lambda: run.state("train") != "..." or has_begun_to_train(run), RUN_SECONDS)
        seconds, begun = max(0.5, seconds - (time.monotonic() - begun)), time.monotonic()
    is_over = begun + moment.fraction * seconds
    while run.state(moment.stage) == "..." and run.process.poll() is None:
        assert time.monotonic() < begun + RUN_SECONDS, "\n".join(run.lines)
        if moment.event is not None and events.wait_for(moment.event, number, first, 0.02):
            break
        if moment.event is None:
            if time.monotonic() >= is_over:
                break
            time.sleep(0.005)
    return run.process.poll() is None


def has_begun_to_train(run: HeardRun) -> bool:
    """Whether the training has said at which step it begins."""
    return any(line.startswith("train: ") for line in run.lines)


def resumes_in(run: HeardRun) -> list[int]:
    """The steps after which training was resumed, from what the run said."""
    return [
        int(line.split("resuming after step ")[1].split("/")[0]) for line in run.lines if "resuming after step" in line
    ]


def _environment(place: Place, folder: Path) -> dict[str, str]:
    (folder / "tmp").mkdir(parents=True)
    return {**place.environment(), "PRETRAIN_CACHE_DIR": str(folder / "cache"), "TMPDIR": str(folder / "tmp")}


def _start(place: Place, reference: Reference, environment: dict[str, str], tried: Tried) -> DriverRun:
    tried.runs += 1
    return DriverRun(reference.recipe, place.url, "--until", reference.until, **environment)


def _kill(run: DriverRun, moment: Moment, tried: Tried) -> list[str]:
    killed = run.building()
    if moment.whole_group:
        run.stop(signal.SIGKILL)
    else:
        run.kill_driver()
        tried.of_driver_alone += 1
    ended = run.end()
    assert ended.code in {-signal.SIGKILL, 0}, ended.errors  # 0: it ended in this moment
    assert run.survivors(GRACE_SECONDS) == []
    tried.kills += ended.code != 0
    tried.by_event += moment.event is not None
    tried.hits.update(killed or [moment.stage])
    tried.resumes += resumes_in(run)
    return killed
