"""Credentials that may only read a store: every command that reads works, and damage is named though it must stay."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from flows.main import app
from pretrain.catalog import find_artifact
from pretrain.errors import DamagedArtifactError
from pretrain.runner import InlineRunner
from pretrain.runs import recorded_run
from pretrain.spec import RunSpec
from pretrain.store import open_store
from tests.chaos.driver import obtain
from tests.s3.bucket import client_of, objects_of
from tests.s3.server import BUCKET, READER_KEY, READER_SECRET, S3Server
from tests.tiny import write_recipe

PREFIX = "read-only"
STORE = f"s3://{BUCKET}/{PREFIX}"


class Built(NamedTuple):
    """Two runs of a recipe in the bucket: its path, and what the bucket holds."""

    recipe: Path
    objects: dict[str, bytes]


@pytest.fixture(scope="module")
def built(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Built:
    recipe = write_recipe(tmp_path_factory.mktemp("recipe"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment().items():
            patch.setenv(name, value)
        for overrides in ([], ['filter.rules=[{"rule": "gopher_quality"}]']):
            spec = RunSpec(recipe=str(recipe), store=STORE, until="filter", overrides=overrides)
            with recorded_run(spec) as run:
                documents = obtain(run, "download", {}, InlineRunner())
                obtain(run, "filter", {"download": documents}, InlineRunner())
    return Built(recipe, objects_of(s3_server, PREFIX))


@pytest.fixture(autouse=True)
def reader(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The credentials of these tests, on a machine that has nothing of the store."""
    for name, value in s3_server.environment(READER_KEY, READER_SECRET).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def unchanged(s3_server: S3Server, built: Built) -> Iterator[None]:
    """Nothing is written, whatever a test does."""
    yield
    assert objects_of(s3_server, PREFIX).keys() == built.objects.keys()


def answer(*arguments: str | Path) -> Any:
    """What a command answers with --json; it must end well."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--store", STORE, "--json"])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_plan_finds_everything(built: Built) -> None:
    plan = answer("plan", built.recipe, "--until", "filter")
    assert [stage["action"] for stage in plan["stages"]] == ["cached", "cached"]


def test_what_is_there_is_listed_and_shown(built: Built) -> None:
    listed = answer("ls")
    assert (len(listed["artifacts"]), len(listed["runs"])) == (3, 2)
    name = f"{listed['artifacts'][0]['stage']}/{listed['artifacts'][0]['fingerprint']}"
    assert answer("show", name) == json.loads(built.objects[f"{name}/manifest.json"])


def test_every_byte_is_verified(built: Built) -> None:
    found = answer("verify")
    assert (found["artifacts"], found["damaged"]) == (3, [])


def test_the_life_of_a_document_is_told() -> None:
    stages = [decision["stage"] for decision in answer("why", "The")["decisions"]]
    assert stages == ["download", "filter"]


def test_two_artifacts_are_compared(built: Built) -> None:
    one, other = sorted({"/".join(key.split("/")[:2]) for key in built.objects if key.startswith("filter/")})
    assert answer("diff", one, other)["equal"] is False


def test_gc_says_what_would_go() -> None:
    answer("gc", "--keep-runs", "0")


@pytest.mark.parametrize("metadata", [{}, {"sha256": "0" * 64}], ids=["by another program", "with its own sha256"])
def test_what_is_damaged_is_named_and_stays(s3_server: S3Server, built: Built, metadata: dict[str, str]) -> None:
    key = next(key for key in built.objects if key.startswith("download/") and "/data/" in key)
    place = {"Bucket": BUCKET, "Key": f"{PREFIX}/{key}"}
    client_of(s3_server).put_object(**place, Body=built.objects[key][:-1] + b"?", Metadata=metadata)
    try:
        stage, fingerprint, path = key.split("/", 2)
        with pytest.raises(DamagedArtifactError, match="is damaged"):
            find_artifact(open_store(STORE), f"{stage}/{fingerprint}").open_part(path)
    finally:
        client_of(s3_server).put_object(**place, Body=built.objects[key])
