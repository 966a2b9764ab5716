"""A slice of `test_kill_points.py`: three kills on a local store for every change; slowly every stage, also on S3."""

from pathlib import Path

import pytest

from tests.chaos.chains import run_chain, undisturbed
from tests.chaos.moments import STAGES, moments
from tests.chaos.places import BucketPlace, LocalPlace, Place
from tests.chaos.recipe import write_chaos_recipe
from tests.chaos.tried import Tried
from tests.s3.server import S3Server

FEW_KILLS = {"download": 2, "filter": 1}
KILLS = dict.fromkeys(STAGES, 1) | {"train": 2}


@pytest.fixture(params=["local", "s3"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> list[Place]:
    """Two empty stores of one kind."""
    names = ["undisturbed", "killed"]
    if request.param == "local":
        return [LocalPlace(tmp_path / name) for name in names]
    server: S3Server = request.getfixturevalue("s3_server")
    prefix = request.getfixturevalue("prefix")
    return [BucketPlace(server, f"{prefix}-{name}") for name in names]


def test_killed_three_times_it_ends_as_if_undisturbed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write_chaos_recipe(tmp_path)
    reference = undisturbed(recipe, LocalPlace(tmp_path / "undisturbed"), tmp_path / "of undisturbed", until="filter")
    tried = Tried()
    run_chain(LocalPlace(tmp_path / "killed"), reference, moments(11, FEW_KILLS), tmp_path / "of killed", tried)
    with capsys.disabled():
        print(f"\n{tried.report()}")
    assert (tried.kills, tried.by_event, tried.artifacts) == (3, 3, 2)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_in_every_stage_it_ends_as_if_undisturbed(places: list[Place], tmp_path: Path) -> None:
    recipe = write_chaos_recipe(tmp_path)
    reference = undisturbed(recipe, places[0], tmp_path / "of undisturbed")
    tried = Tried()
    run_chain(places[1], reference, moments(7, KILLS), tmp_path / "of killed", tried)
    print(tried.report())
    assert tried.kills >= len(KILLS)
    assert tried.artifacts == len(STAGES)
