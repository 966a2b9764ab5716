"""A slice of `test_kill_points.py` for every change: one kill in each stage, and two in training, local and on S3."""

from pathlib import Path

import pytest

from tests.chaos.chains import run_chain, undisturbed
from tests.chaos.moments import STAGES, moments
from tests.chaos.places import BucketPlace, LocalPlace, Place
from tests.chaos.recipe import write_chaos_recipe
from tests.chaos.tried import Tried
from tests.s3.server import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

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


def test_killed_in_every_stage_it_ends_as_if_undisturbed(places: list[Place], tmp_path: Path) -> None:
    recipe = write_chaos_recipe(tmp_path)
    reference = undisturbed(recipe, places[0], tmp_path / "of undisturbed")
    tried = Tried()
    run_chain(places[1], reference, moments(7, KILLS), tmp_path / "of killed", tried)
    print(tried.report())
    assert tried.kills >= len(KILLS)
    assert tried.artifacts == len(STAGES)
