"""How a run fails: exit code, message and JSON, without a traceback, and the command that it names resumes it.

Exit code 2 is the user's to correct; 1 is a stage that failed. What fails before the DAG begins needs no server.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from typer.testing import CliRunner

from flows.main import app
from pretrain.artifact import Artifact
from pretrain.dag import node, stages_of
from pretrain.errors import StoreFullError, StorePermissionError
from pretrain.runner import InlineRunner
from pretrain.runs import recorded_run
from pretrain.spec import RunSpec
from tests.command import Ended, pretrain
from tests.content import content_of
from tests.flows.conftest import Run
from tests.tiny import write_recipe

LIMIT_SECONDS = 60.0  # most take half a second; 15 with the start of an embedded server on a quiet machine
STAGES = "download, filter, dedup, language, shard, tokenizer, pack, init, train, eval"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe"))


def run(recipe: Path, *arguments: str | Path, **environment: str) -> Ended:
    """Runs with --json and checks what every failure has in common."""
    started = time.monotonic()
    ended = pretrain("run", recipe, *arguments, "--json", **environment)
    if ended.code != 0:
        assert time.monotonic() - started < LIMIT_SECONDS
        assert "Traceback" not in ended.errors
        assert ended.text.count("\n") == 1  # one JSON object and nothing else
        assert set(ended.out) == {"run_id", "store", "state", "seconds", "stages", "error"}
        assert ended.out["state"] == "failed"
        assert set(ended.out["error"]) == {"stage", "message", "resume"}
        assert ended.out["error"]["message"] in ended.errors
    return ended


class Wrong(NamedTuple):
    """An option that is wrong, and the words that the message must have."""

    options: tuple[str, ...]
    words: str


@pytest.mark.parametrize(
    "wrong",
    [
        Wrong(("--set", "filter.ruls=1"), "filter.ruls: unknown key (value 1); known here: rules"),
        Wrong(
            ("--set", "fitler.rules=[]"), "fitler: unknown key (value {'rules': []}); known here: name, seed, download"
        ),
        Wrong(("--set", "train.max_steps=many"), "train.max_steps: Input should be a valid integer"),
        Wrong(("--set", "train.max_steps=0"), "train.max_steps: Input should be greater than 0 (value 0)"),
        Wrong(("--set", "train.max_steps"), "--set takes stage.key=value, got 'train.max_steps'"),
        Wrong(("--until", "trian"), f"--until trian: not a stage of this recipe; it has {STAGES}"),
        Wrong(("--refresh", "trian"), f"--refresh trian: not a stage of this recipe; it has {STAGES}"),
        Wrong(("--set", "eval=null", "--until", "eval"), "--until eval: not a stage of this recipe"),
        Wrong(("--set", "download.sources.0.uri=gone/*.jsonl"), "no file matches 'gone/*.jsonl'"),
        Wrong(("--store", "nosuch://bucket/store"), "cannot open a store at nosuch://...: Protocol not known: nosuch"),
    ],
    ids=lambda wrong: " ".join(wrong.options),
)
def test_a_wrong_option_is_named_with_its_value_and_what_is_allowed(recipe: Path, tmp_path: Path, wrong: Wrong) -> None:
    ended = run(recipe, "--store", tmp_path / "store", *wrong.options)
    assert ended.code == 2
    assert wrong.words in ended.out["error"]["message"]
    assert not (tmp_path / "store").exists()


def test_a_missing_recipe_and_one_that_is_not_yaml(tmp_path: Path) -> None:
    ended = run(tmp_path / "gone.yaml", "--store", tmp_path / "store")
    assert (ended.code, ended.out["run_id"]) == (2, None)
    assert f"cannot read the recipe {tmp_path}/gone.yaml" in ended.out["error"]["message"]
    (tmp_path / "broken.yaml").write_text("filter: [")
    ended = run(tmp_path / "broken.yaml", "--store", tmp_path / "store")
    assert (ended.code, ended.out["run_id"]) == (2, None)
    assert "broken.yaml is not valid YAML" in ended.out["error"]["message"]


def test_an_option_that_the_command_does_not_have(recipe: Path) -> None:
    ended = pretrain("run", recipe, "--wrokers", "2")
    assert (ended.code, ended.text) == (2, "")
    assert "No such option" in ended.errors
    assert "Traceback" not in ended.errors


def test_a_prefect_server_that_does_not_answer(recipe: Path, tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/api"  # the discard port: nothing listens there
    ended = run(recipe, "--store", tmp_path / "store", PREFECT_API_URL=url)
    assert ended.code == 2
    words = (
        f"the Prefect server of PREFECT_API_URL, {url}, does not answer (<urlopen error [Errno 111] Connection refused"
    )
    assert ended.out["error"]["message"].startswith(words)
    listed = pretrain("ls", "--store", tmp_path / "store", "--json")
    assert [run["state"] for run in listed.out["runs"]] == ["failed"]  # not running for ever


def test_a_store_below_a_regular_file(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    ended = run(recipe, "--store", tmp_path / "file" / "store")
    assert ended.code == 1
    assert "Not a directory" in ended.out["error"]["message"]
    assert str(tmp_path / "file" / "store") in ended.out["error"]["message"]


def test_a_store_that_may_not_be_read(recipe: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything; test_a_store_that_refuses_to_be_read covers the message")
    store = tmp_path / "store"
    store.mkdir(mode=0o000)
    ended = run(recipe, "--store", store)
    assert ended.code == 1
    assert re.search("permission denied while .* check its owner, mode or credentials", ended.out["error"]["message"])


class Refusing(MemoryFileSystem):  # type: ignore[misc]
    """An object store that refuses the credentials: to read in the bucket `read`, to write in any."""

    protocol = "refusing"

    def cat_file(self, path: str, *arguments: Any, **options: Any) -> bytes:
        if path.strip("/").startswith("read"):
            raise PermissionError("Access Denied")
        return bytes(super().cat_file(path, *arguments, **options))

    def pipe_file(self, path: str, value: bytes, *arguments: Any, **options: Any) -> None:
        raise PermissionError("Access Denied")


def test_a_store_that_refuses_to_be_read(recipe: Path) -> None:
    fsspec.register_implementation("refusing", Refusing, clobber=True)
    result = CliRunner().invoke(app, ["run", str(recipe), "--store", "refusing://read/store", "--json"])
    assert result.exit_code == 1
    message = json.loads(result.stdout)["error"]["message"]
    assert message.startswith("permission denied while reading refusing://read/store/download/")
    assert message.endswith("Access Denied; check its owner, mode or credentials")
    assert result.stderr == f"error: {message}\n"


def test_a_store_that_refuses_to_be_written(recipe: Path) -> None:
    fsspec.register_implementation("refusing", Refusing, clobber=True)
    words = "permission denied while writing refusing://write/store/leases/.*Access Denied; check its owner"
    with (
        pytest.raises(StorePermissionError, match=words),
        recorded_run(RunSpec(recipe=str(recipe), store="refusing://write/store")),
    ):
        pytest.fail("a run began in a store that cannot be written")


class Disk(NamedTuple):
    """A file system of its own whose size can be changed."""

    folder: Path

    def resize(self, num_kilobytes: int) -> None:
        options = f"remount,size={num_kilobytes}k"
        subprocess.run(["mount", "-o", options, str(self.folder)], check=True)

    def leave_free(self, num_kilobytes: int) -> None:
        usage = shutil.disk_usage(self.folder)
        self.resize(usage.used // 1024 + num_kilobytes)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=50m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def server(prefect_server: None) -> str:
    """The url of a server that runs: a command that is given one starts in half the time."""
    from prefect.settings import PREFECT_API_URL

    return str(PREFECT_API_URL.value())


@pytest.mark.slow
def test_no_space_left_and_the_named_command_resumes(tiny_run: Run, server: str, disk: Disk) -> None:
    store = disk.folder / "store"
    disk.resize(100)  # room for the artifact of download, not for filter's
    ended = run(tiny_run.recipe, "--store", store, "--until", "filter", "--workers", "1", PREFECT_API_URL=server)
    assert (ended.code, ended.out["error"]["stage"]) == (1, "filter")
    assert re.fullmatch(
        "no space left while writing .*: free some space, then run the same command to resume",
        ended.out["error"]["message"],
    )
    assert [(stage["stage"], stage["action"]) for stage in ended.out["stages"]] == [("download", "built")]
    assert f"error in stage filter: {ended.out['error']['message']}" in ended.errors
    assert list((store / ".tmp").iterdir()) == []

    disk.resize(50_000)
    name, *words = shlex.split(ended.out["error"]["resume"])
    assert name == "pretrain"
    resumed = pretrain(*words, "--json", PREFECT_API_URL=server)
    assert resumed.code == 0, resumed.errors
    actions = [(stage["stage"], stage["action"]) for stage in resumed.out["stages"]]
    assert actions == [("download", "cached"), ("filter", "built")]
    expected = content_of(tiny_run.store)
    assert content_of(store) == {name: expected[name] for name in expected if name.startswith(("download/", "filter/"))}


@pytest.mark.parametrize("kilobytes_free", [8, 40])
def test_every_stage_says_when_no_space_is_left(tiny_run: Run, disk: Disk, kilobytes_free: int) -> None:
    store = disk.folder / "store"
    pipeline = RunSpec(recipe=str(tiny_run.recipe), store=str(store)).pipeline()
    artifacts: dict[str, Artifact] = {}
    full = []
    for stage in stages_of(pipeline.recipe, "train")[:-1]:  # train has a test of its own
        inputs = {role: artifacts[name] for role, name in node(stage).inputs(pipeline.recipe).items()}
        store.mkdir(exist_ok=True)
        disk.leave_free(kilobytes_free)
        try:
            outcome = pipeline.obtain(stage, inputs, runner=InlineRunner(), progress=lambda done, total, text: None)
        except StoreFullError as error:
            assert error.stage == stage
            assert str(disk.folder) in str(error)
            full.append(stage)
            disk.resize(50_000)
            outcome = pipeline.obtain(stage, inputs, runner=InlineRunner(), progress=lambda done, total, text: None)
        disk.resize(50_000)
        artifacts[stage] = outcome.artifact
    expected = content_of(tiny_run.store)
    assert content_of(store) == {artifact.key: expected[artifact.key] for artifact in artifacts.values()}
    assert len(full) >= 5
    assert {"pack", "init"} <= set(full)  # numpy and safetensors lose the error number on its way
