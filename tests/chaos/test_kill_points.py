"""200 kills of the library's own run of the DAG on a local store, and 200 on an S3 server; every rerun ends the same.

The moments come from a seed: by the clock, by the n-th change of a file in the store or the n-th request to the server,
and by the n-th that belongs to a commit. `test_kill.py` kills the whole command, with its Prefect server, less often.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.chains import Reference, run_chain, undisturbed
from tests.chaos.moments import KILLS, STAGES, moments
from tests.chaos.places import BucketPlace, LocalPlace, Place
from tests.chaos.recipe import write_chaos_recipe
from tests.chaos.tried import Tried
from tests.s3.server import S3Server

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600)]

MIN_KILLS = 200
MIN_KILLS_OF_TRAINING = 20
# Each is some milliseconds wide; that the moments fall into all of them is the point of drawing them by event.
COMMITS = {
    "a part, no receipt",
    "receipts, no manifest",
    "manifest, scratch to remove",
    "checkpoints, not committed",
    "a checkpoint being written",
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chaos_recipe(tmp_path_factory.mktemp("recipe"))


def test_killed_on_a_local_store(recipe: Path, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    reference = undisturbed(recipe, LocalPlace(tmp_path / "undisturbed"), tmp_path / "of undisturbed")
    tried = kill_often(lambda seed: LocalPlace(tmp_path / f"store-{seed}"), reference, tmp_path)
    show(pytestconfig, "local store", tried)
    assert set(tried.states) >= {"a file being written", *COMMITS}


def test_killed_on_an_s3_server(
    recipe: Path, s3_server: S3Server, prefix: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    reference = undisturbed(recipe, BucketPlace(s3_server, f"{prefix}-undisturbed"), tmp_path / "of undisturbed")
    tried = kill_often(lambda seed: BucketPlace(s3_server, f"{prefix}-{seed}"), reference, tmp_path)
    show(pytestconfig, "S3 server", tried)
    assert set(tried.states) >= COMMITS
    assert tried.moves > 20


def kill_often(place_of: Callable[[int], Place], reference: Reference, folder: Path) -> Tried:
    """Chains on one empty store after the other until there were enough kills."""
    tried = Tried()
    seed = 0
    while tried.kills < MIN_KILLS or tried.hits["train"] < MIN_KILLS_OF_TRAINING:
        place = place_of(seed)
        run_chain(place, reference, moments(seed, KILLS), folder / str(seed), tried)
        shutil.rmtree(folder / str(seed))
        seed += 1
    assert set(tried.hits) >= set(STAGES)
    assert sum(step > 0 for step in tried.resumes) >= 5
    return tried


def show(pytestconfig: pytest.Config, title: str, tried: Tried) -> None:
    """Prints what was tried, past the capture of pytest."""
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{title}\n{tried.report()}")
