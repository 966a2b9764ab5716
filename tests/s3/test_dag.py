"""The DAG on a real S3 server: the same manifests and parts as on a local disk, and nothing asked for twice."""

import gc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pretrain.artifact import Artifact
from pretrain.catalog import all_artifacts
from pretrain.dag import node, stages_of
from pretrain.fetched import FetchedFiles
from pretrain.remote_store import RemoteStore
from pretrain.runner import InlineRunner, LocalRunner, Runner
from pretrain.spec import RunSpec
from tests.command import pretrain
from tests.content import content_of, num_parts
from tests.s3.bucket import content_of_bucket, objects_of
from tests.s3.server import BUCKET, S3Server
from tests.tiny import write_recipe

PREFIX = "dag"
CACHE_BYTES = 50_000
STORE = f"s3://{BUCKET}/{PREFIX}"


def obtain(recipe: Path, store: str, stages: list[str], runner: Runner) -> None:
    """Obtains stages one after the other, each from what the store has of those before it."""
    pipeline = RunSpec(recipe=str(recipe), store=store).pipeline()
    found: dict[str, Artifact] = {artifact.manifest.stage: artifact for artifact in all_artifacts(pipeline.store)}
    for stage in stages:
        inputs = {role: found[name] for role, name in node(stage).inputs(pipeline.recipe).items()}
        outcome = pipeline.obtain(stage, inputs, runner=runner, progress=lambda done, total, text: None)
        found[stage] = outcome.artifact


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny recipe."""
    return write_recipe(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="module")
def data_in_s3(s3_server: S3Server, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    """The data stages in the bucket, by two machines in turn; how often each part was read from the server."""
    stages = stages_of(RunSpec(recipe=str(recipe)).load(), "tokenizer")
    before = len(s3_server.requests())
    with pytest.MonkeyPatch.context() as patch, LocalRunner(2) as here, LocalRunner(2) as there:
        for name, value in s3_server.environment().items():
            patch.setenv(name, value)
        for runner, some in ((here, stages[:3]), (there, stages[3:])):
            patch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path_factory.mktemp("machine")))
            obtain(recipe, STORE, some, runner)
    lines = (line.split() for line in s3_server.requests()[before:])
    return Counter(path for method, path, _ in lines if method == "GET" and "/data/" in path)


def test_the_data_stages_are_those_of_a_local_store(
    s3_server: S3Server, recipe: Path, data_in_s3: Counter[str], tmp_path: Path
) -> None:
    stages = stages_of(RunSpec(recipe=str(recipe)).load(), "tokenizer")
    obtain(recipe, str(tmp_path), stages, InlineRunner())
    local = content_of(tmp_path)
    assert content_of_bucket(s3_server, PREFIX) == local
    assert len(local) == 6 and num_parts(local) > 12
    assert not [key for key in objects_of(s3_server, PREFIX) if "/scratch/" in key or ".tmp" in key]


@pytest.mark.slow
def test_a_cache_that_holds_next_to_nothing_changes_nothing(
    s3_server: S3Server, recipe: Path, data_in_s3: Counter[str], s3_store: RemoteStore, prefix: str, monkeypatch: Any
) -> None:
    monkeypatch.setenv("PRETRAIN_CACHE_BYTES", str(CACHE_BYTES))
    monkeypatch.setattr(FetchedFiles.__init__, "__kwdefaults__", {"grace_seconds": 0.0})
    stages = stages_of(RunSpec(recipe=str(recipe)).load(), "tokenizer")
    before, sizes = len(s3_server.requests()), []
    for stage in stages:
        obtain(recipe, s3_store.url, [stage], InlineRunner())
        gc.collect()  # the pipeline, and with it what it held
        sizes.append(bytes_after_one_more(FetchedFiles()))
    content = content_of_bucket(s3_server, prefix)
    assert content == content_of_bucket(s3_server, PREFIX)
    assert max(sizes) <= CACHE_BYTES
    parts = [part["bytes"] for artifact in content.values() for part in artifact["manifest"]["parts"]]
    assert sum(parts) > 4 * CACHE_BYTES
    lines = (line.split() for line in s3_server.requests()[before:])
    read = Counter(path for method, path, _ in lines if method == "GET" and "/data/" in path)
    print(f"{sum(parts)} bytes of parts through a cache of at most {max(sizes)}; {read.total()} reads of parts again")
    assert len(read) > 0  # what this machine had made itself was gone from its cache


def bytes_after_one_more(copies: FetchedFiles) -> int:
    """The size of the cache once another file has come into it, which is when it is looked at."""
    partial = copies.partial()
    partial.write_bytes(b"one more")
    copies.place(partial, copies.path_of("s3://other/store", "one"))
    files = [path for path in copies.folder.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files if not path.relative_to(copies.folder).parts[0].startswith("."))


def test_a_part_crosses_the_network_once_a_machine(data_in_s3: Counter[str]) -> None:
    read = {path.split("/")[3] for path in data_in_s3}
    assert read == {"dedup"}  # what the first machine made for itself is never read, nor is the second's own
    assert set(data_in_s3.values()) == {1}


def test_a_cached_run_asks_for_manifests_and_listings_alone(
    s3_server: S3Server, recipe: Path, data_in_s3: Counter[str]
) -> None:
    before = len(s3_server.requests())
    environment = {**s3_server.environment(), "PRETRAIN_CACHE_DIR": str(recipe.parent / "third machine")}
    ended = pretrain("run", recipe, "--store", STORE, "--until", "tokenizer", "--json", **environment)
    assert ended.code == 0, ended.errors
    assert {stage["action"] for stage in ended.out["stages"]} == {"cached"}
    requests = s3_server.requests()[before:]
    of_stages = [line for line in requests if "/runs/" not in line]
    assert all("/manifest.json " in line or "list-type=2" in line for line in of_stages)
    assert len(of_stages) == 2 * 6  # the manifest, and a listing that shows the size of each part
    assert len(requests) - len(of_stages) == 3  # the run's record: begun, ended, read


@pytest.mark.slow
def test_the_whole_dag_is_that_of_a_local_store(s3_server: S3Server, recipe: Path, tmp_path: Path) -> None:
    environment = {**s3_server.environment(), "PRETRAIN_CACHE_DIR": str(tmp_path / "machine")}
    before = len(s3_server.requests())
    ended = pretrain("run", recipe, "--store", f"s3://{BUCKET}/whole", "--workers", "2", "--json", **environment)
    assert ended.code == 0, ended.errors
    copies = [line for line in s3_server.requests()[before:] if line.startswith("PUT") and "/checkpoints/" in line]
    assert {line.split("/checkpoints/")[1].split("/")[0] for line in copies} >= {"step-000012"}
    local = pretrain("run", recipe, "--store", tmp_path / "local", "--workers", "2", "--json")
    assert local.code == 0, local.errors
    assert content_of_bucket(s3_server, "whole") == content_of(tmp_path / "local")
    assert not [key for key in objects_of(s3_server, "whole") if "/checkpoints/" in key or "/scratch/" in key]
    sampled = pretrain(
        "sample",
        "latest",
        "--prompt",
        "The",
        "--max-new-tokens",
        "4",
        "--store",
        f"s3://{BUCKET}/whole",
        **{**environment, "PRETRAIN_CACHE_DIR": str(tmp_path / "another")},
    )
    assert sampled.code == 0, sampled.errors
