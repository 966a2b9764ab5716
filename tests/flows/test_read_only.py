"""A store that may only be read: what reads works, what writes says so at once, before anything is computed."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.main import app
from tests.command import pretrain
from tests.content import content_of
from tests.disks import mounted_disk
from tests.flows.conftest import Run


@pytest.fixture(scope="module")
def store(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of a finished store on a file system that refuses writes."""
    with mounted_disk(tmp_path_factory.mktemp("read-only") / "disk") as disk:
        shutil.copytree(tiny_run.store, disk.folder / "store")
        disk.make_read_only()
        yield disk.folder / "store"


def key_of(store: Path, stage: str) -> str:
    return next(name for name in content_of(store) if name.startswith(f"{stage}/"))


def answer(*arguments: str | Path) -> Any:
    """What a command answers with --json; it must end well."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_plan_finds_everything(tiny_run: Run, store: Path) -> None:
    plan = answer("plan", tiny_run.recipe, "--store", store)
    assert {stage["action"] for stage in plan["stages"]} == {"cached"}


def test_ls_and_show(store: Path) -> None:
    assert len(answer("ls", "--store", store)["artifacts"]) == 10
    assert answer("show", key_of(store, "pack"), "--store", store)["stage"] == "pack"


def test_verify_reads_every_byte(store: Path) -> None:
    found = answer("verify", "--store", store)
    assert (found["artifacts"], found["damaged"]) == (10, [])


def test_why(store: Path) -> None:
    found = answer("why", "The", "--store", store)
    assert found["decisions"][0] == {
        "stage": "download",
        "kept": True,
        "reason": None,
        "value": None,
        "threshold": None,
        "evidence": None,
    }


@pytest.mark.slow
def test_sample(store: Path) -> None:
    found = answer("sample", "latest", "--prompt", "The", "--max-new-tokens", "4", "--store", store)
    assert "The" in json.dumps(found)


def test_diff(store: Path) -> None:
    assert answer("diff", key_of(store, "shard"), key_of(store, "shard"), "--store", store)["equal"] is True


def test_gc_says_what_would_go(store: Path) -> None:
    answer("gc", "--keep-runs", "0", "--store", store)


@pytest.mark.parametrize("changes", [(), ("--set", "seed=2")], ids=["everything is cached", "something is to build"])
def test_a_run_says_at_once_that_its_record_cannot_be_written(
    tiny_run: Run, store: Path, tmp_path: Path, changes: tuple[str, ...]
) -> None:
    before = content_of(store)
    began = time.monotonic()
    cache = {"PRETRAIN_CACHE_DIR": str(tmp_path / "cache")}
    ended = pretrain("run", tiny_run.recipe, "--store", store, *changes, "--json", **cache)
    assert time.monotonic() - began < 10  # no server was started
    assert ended.code == 1
    message = ended.out["error"]["message"]
    assert message.startswith(f"permission denied while writing {store}/")
    assert message.endswith("check its owner, mode or credentials")
    assert "Read-only file system" in message
    assert ended.errors.count("Read-only file system") == 1 and "Traceback" not in ended.errors
    assert content_of(store) == before


def test_a_cache_that_may_only_be_read_costs_speed_alone(tiny_run: Run, tmp_path: Path) -> None:
    with mounted_disk(tmp_path / "disk") as disk:
        disk.make_read_only()
        cache = {"PRETRAIN_CACHE_DIR": str(disk.folder / "cache")}
        ended = pretrain("run", tiny_run.recipe, "--store", tiny_run.store, "--json", **cache)
    assert ended.code == 0, ended.errors
    assert {stage["action"] for stage in ended.out["stages"]} == {"cached"}
