"""One undisturbed run of the tiny recipe that the tests of this folder read, and one Prefect server."""

import fcntl
import json
import os
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
    """The whole DAG, run with two workers through the command, once for all processes of the tests. Read only."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder, outcome = shared / "tiny-run", shared / "tiny-run.json"
    store, recipe = folder / "store", folder / "tiny.yaml"
    with (shared / "tiny-run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not outcome.exists():
            write_recipe(folder)
            surroundings = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
            for path in surroundings.values():
                Path(path).mkdir()
            ended = pretrain("run", recipe, "--store", store, "--workers", "2", "--json", **surroundings)
            assert ended.code == 0, ended.errors
            outcome.write_text(json.dumps(ended))
    return Run(recipe, store, Ended(*json.loads(outcome.read_text())))


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """A Prefect server with a database of its own; its API's url, which saves a command its embedded server."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield str(PREFECT_API_URL.value())
