"""One undisturbed run of the tiny recipe that the tests of this folder read, and one Prefect server."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.command import Ended, pretrain
from tests.tiny import write_recipe


class Run(NamedTuple):
    """A finished run of the command: its recipe, its store and what it printed."""

    recipe: Path
    store: Path
    ended: Ended


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The whole DAG, run once with two workers through the command. Read only."""
    folder = tmp_path_factory.mktemp("run")
    recipe = write_recipe(folder)
    (folder / "home").mkdir()
    (folder / "tmp").mkdir()
    surroundings = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
    ended = pretrain("run", recipe, "--store", folder / "store", "--workers", "2", "--json", **surroundings)
    assert ended.code == 0, ended.errors
    return Run(recipe, folder / "store", ended)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """A Prefect server with a database of its own; its API's url, which saves a command its embedded server."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield str(PREFECT_API_URL.value())
