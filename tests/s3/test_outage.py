"""The S3 server goes away in the middle of a run: for a moment in every stage, for a minute, for good."""

import random
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pretrain.s3 import PATIENCE_SECONDS
from tests.chaos.killing import HeardRun
from tests.command import pretrain
from tests.content import counted
from tests.s3.bucket import content_of_bucket
from tests.s3.faulted import SMALL, References
from tests.s3.server import BUCKET, S3Server, start

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

STAGES = ("download", "filter", "dedup", "language", "shard", "tokenizer", "pack", "init", "train", "eval")
PREFIX = "outage"
# One request waits out its patience, in a worker maybe, and then one of the process that retries the stage; what comes
# after these knows that the server is away. The rest is the pauses of the retries, and the end of the processes.
LONGEST_END_SECONDS = 2 * PATIENCE_SECONDS + 30
STORE = f"s3://{BUCKET}/{PREFIX}"


class Undisturbed:
    """The recipe, and what a run of it holds that nothing disturbs."""

    def __init__(self, folder: Path) -> None:
        references = References(folder)
        self.recipe = references.recipe(SMALL[0])
        self.content: dict[str, Any] = references.content(SMALL[0], is_whole=True)


class Restarted:
    """A server of a test's own, killed and started again over the same folder, where it has the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server: S3Server = start(folder)

    def kill_during(self, stage: str, num_writes: int, run: HeardRun) -> None:
        """Kills it once it has confirmed so many writes below the folder of a stage that is being built."""
        is_over = time.monotonic() + 240
        while self._num_writes(stage) < num_writes:
            assert time.monotonic() < is_over and run.process.poll() is None, "\n".join(run.lines[-20:])
            time.sleep(0.002)
        self.server.kill()

    def start(self) -> None:
        """Starts it again."""
        self.server = start(self.folder)

    def _num_writes(self, stage: str) -> int:
        below = f"/{BUCKET}/{PREFIX}/{stage}/"
        return sum(line.startswith("PUT ") and below in line for line in self.server.requests())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def restarted(tmp_path: Path) -> Iterator[Restarted]:
    restarted = Restarted(tmp_path / "s3")
    yield restarted
    restarted.server.kill()


@pytest.fixture
def run(restarted: Restarted, undisturbed: Undisturbed, tmp_path: Path) -> HeardRun:
    environment = {**restarted.server.environment(), "PRETRAIN_CACHE_DIR": str(tmp_path / "cache")}
    environment["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"  # of the command: a user sees what the test sees
    return HeardRun(undisturbed.recipe, "--store", STORE, "--workers", "2", **environment)


def assert_ends_well(run: HeardRun, server: S3Server, expected: dict[str, Any]) -> str:
    """Waits for a good end, and says what was compared."""
    ended = run.end()
    assert ended.code == 0, ended.errors
    assert {stage["action"] for stage in ended.out["stages"]} == {"built"}
    assert content_of_bucket(server, PREFIX) == expected
    return f"{len(server.requests())} requests; {counted(expected)}"


def test_killed_and_started_again_during_every_stage(
    restarted: Restarted, run: HeardRun, undisturbed: Undisturbed, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = random.Random(0)
    hit = []
    for stage in STAGES:
        restarted.kill_during(stage, generator.choice((1, 2)), run)
        time.sleep(generator.uniform(0.2, 2.0))
        if run.state(stage) == "...":
            hit.append(stage)
        restarted.start()
    compared = assert_ends_well(run, restarted.server, undisturbed.content)
    assert hit == list(STAGES)
    with capsys.disabled():
        print(f"\n1 run, its server killed {len(hit)} times, once in each stage; {compared}")


@pytest.mark.parametrize("stage", ["dedup", "train"])
def test_away_for_a_minute(
    restarted: Restarted, run: HeardRun, undisturbed: Undisturbed, stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    restarted.kill_during(stage, 2, run)
    time.sleep(60)
    assert run.building() == [stage]
    restarted.start()
    compared = assert_ends_well(run, restarted.server, undisturbed.content)
    with capsys.disabled():
        print(f"\n1 run, its server away for 60 s in {stage}; {compared}")


@pytest.mark.parametrize("stage", ["dedup", "train"])
def test_away_for_good(
    restarted: Restarted,
    run: HeardRun,
    undisturbed: Undisturbed,
    tmp_path: Path,
    stage: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    restarted.kill_during(stage, 2, run)
    killed_at = time.monotonic()
    ended = run.end(600)
    assert ended.code == 1
    patience = time.monotonic() - killed_at
    assert patience < LONGEST_END_SECONDS
    assert ended.out["error"]["stage"] == stage
    message = ended.out["error"]["message"]
    assert f"no answer from {restarted.server.endpoint}" in message and "run the same command to resume" in message
    assert [line for line in run.lines if line.startswith("error")] == [f"error in stage {stage}: {message}"]
    assert "Traceback" not in ended.errors
    assert run.survivors(5.0) == []

    restarted.start()
    words = shlex.split(ended.out["error"]["resume"])
    assert words[:2] == ["pretrain", "run"]
    around = {**restarted.server.environment(), "PRETRAIN_CACHE_DIR": str(tmp_path / "cache")}
    resumed = pretrain(*words[1:], "--json", **around)
    assert resumed.code == 0, resumed.errors
    assert content_of_bucket(restarted.server, PREFIX) == undisturbed.content
    with capsys.disabled():
        print(f"\n1 run ended {patience:.0f} s after its server in {stage}, 1 resumed; {counted(undisturbed.content)}")
