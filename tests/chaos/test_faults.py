"""Runs against an S3 server of which 5% of all requests fail, or answer wrongly: no artifact is ever silently wrong.

Each request of a run may, by the seed of the run, get a 500, a 503 SlowDown, a reset before or after the server did
what it asks, a delay, half an answer, an answer with a wrong byte, or a wrong byte in what it sends. One delay in ten
is 3 s, the others 0.3 s: the client waits in the same way, and 200 runs end in minutes.

A run ends well, and then every part of every artifact has, in the bucket, the sha256 of its manifest, and manifests and
parts are those of the undisturbed run into a local folder. Or it fails with a message: what it finished is right all
the same, and the run after it, without faults, ends well.
"""

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from tests.content import num_parts
from tests.s3.bucket import content_of_bucket
from tests.s3.fault_proxy import ALL_FAULTS
from tests.s3.faulted import Attempt, References, Variant, attempt, prefix_of, variant_of
from tests.s3.server import S3Server

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600)]

NUM_RUNS = 200
NUM_WHOLE_RUNS = 6  # of the ten stages, by the command
NUM_RUNS_AT_ONCE = 2


@dataclass
class Tried:
    """What the runs of this file did, printed at the end."""

    kinds: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    well_at_first: int = 0
    errors: list[str] = field(default_factory=list)
    well_after_a_rerun: int = 0
    artifacts: int = 0
    parts: int = 0
    bytes: int = 0

    def add(self, variant: Variant, ended: Attempt) -> None:
        """Counts the first attempt of a run."""
        runner = "whole DAG" if variant.is_whole else "pool" if variant.num_workers > 1 else "inline"
        self.kinds[f"{runner}, {'a machine a stage' if variant.is_on_new_machines else 'one machine'}"] += 1
        self.requests += ended.num_requests
        self.faults += ended.faults
        if ended.error is None:
            self.well_at_first += 1
        else:
            self.errors.append(f"seed {variant.seed}: {ended.error}")

    def add_content(self, content: dict[str, Any]) -> None:
        """Counts what was read from the bucket and found right."""
        self.artifacts += len(content)
        self.parts += num_parts(content)
        self.bytes += sum(part["bytes"] for found in content.values() for part in found["manifest"]["parts"])

    def rows(self) -> Iterator[tuple[str, object]]:
        """The table."""
        yield "runs", f"{self.kinds.total()} ({', '.join(f'{name} {n}' for name, n in sorted(self.kinds.items()))})"
        yield "requests", f"{self.requests:,}"
        yield "faults injected", f"{self.faults.total():,}"
        for fault in ALL_FAULTS:
            yield f"  {fault}", self.faults[fault]
        yield "runs that ended well", self.well_at_first
        yield "runs that failed with a message", len(self.errors)
        yield "  and ended well after a rerun", self.well_after_a_rerun
        yield "artifacts compared", f"{self.artifacts:,}"
        yield "parts verified", f"{self.parts:,}"
        yield "bytes verified", f"{self.bytes:,}"


@pytest.fixture(scope="module")
def tried(request: pytest.FixtureRequest) -> Iterator[Tried]:
    tried, started = Tried(), time.monotonic()
    yield tried
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        rows = [*tried.rows(), ("seconds", round(time.monotonic() - started))]
        print("\n" + "\n".join(f"{name:32} {value}" for name, value in rows))
        print("\n".join(tried.errors))


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> References:
    return References(tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize(
    ("first_seed", "num_runs", "is_whole"),
    [(0, NUM_RUNS - NUM_WHOLE_RUNS, False), (NUM_RUNS - NUM_WHOLE_RUNS, NUM_WHOLE_RUNS, True)],
    ids=["data stages", "whole DAG"],
)
def test_no_artifact_is_ever_silently_wrong(
    s3_server: S3Server,
    references: References,
    tried: Tried,
    tmp_path: Path,
    first_seed: int,
    num_runs: int,
    is_whole: bool,
) -> None:
    variants = [variant_of(seed, is_whole=is_whole) for seed in range(first_seed, first_seed + num_runs)]
    recipes = [references.recipe(variant.recipe) for variant in variants]
    for variant in variants:
        references.content(variant.recipe, is_whole=is_whole)
    spawning = multiprocessing.get_context("spawn")
    around = s3_server.environment()
    with ProcessPoolExecutor(NUM_RUNS_AT_ONCE, spawning) as lanes:
        ends = lanes.map(attempt, variants, recipes, repeat(tmp_path), repeat(around))
        for variant, ended in zip(variants, ends, strict=True):
            tried.add(variant, ended)
            expected = references.content(variant.recipe, is_whole=is_whole)
            if ended.error is not None:
                assert_finished_is_right(s3_server, variant, expected)
                recipe = references.recipe(variant.recipe)
                again = lanes.submit(attempt, variant, recipe, tmp_path, around, rate=0.0).result()
                assert again.error is None
                tried.well_after_a_rerun += 1
            found = content_of_bucket(s3_server, prefix_of(variant))
            assert found == expected, f"seed {variant.seed}"
            assert_as_in_the_manifest(found)
            tried.add_content(found)


def assert_finished_is_right(server: S3Server, variant: Variant, expected: dict[str, Any]) -> None:
    """What a run finished before it failed."""
    for name, artifact in content_of_bucket(server, prefix_of(variant)).items():
        assert artifact == expected[name], f"seed {variant.seed}"


def assert_as_in_the_manifest(content: dict[str, Any]) -> None:
    """The sha256 of what the bucket holds is what the manifest, read from there as well, says."""
    for found in content.values():
        assert {part["path"]: part["sha256"] for part in found["manifest"]["parts"]} == found["parts"]


def test_enough_was_tried(tried: Tried) -> None:
    if not tried.kinds:
        pytest.skip("the runs were not made")
    assert tried.kinds.total() >= 200
    assert tried.well_at_first + tried.well_after_a_rerun == tried.kinds.total()
    assert {*tried.faults} == {*ALL_FAULTS}
    assert tried.faults.total() > 0.04 * tried.requests
