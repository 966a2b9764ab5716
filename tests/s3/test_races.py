"""Machines that want one artifact: where If-None-Match works one builds, and where it does not nothing is harmed."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pretrain.errors import StoreError
from pretrain.remote_store import RemoteStore
from pretrain.spec import RunSpec
from tests.command import ENVIRONMENT
from tests.content import content_of, counted
from tests.other_machine import OvertakenPipeline, sha256s_in, sha256s_of
from tests.s3.bucket import content_of_bucket
from tests.s3.fault_proxy import Conditional, FaultProxy
from tests.s3.server import BUCKET, S3Server
from tests.test_pipeline import obtain_download
from tests.tiny import write_recipe

NUM_MACHINES = 3
STAGES_TO_THE_TOKENIZER = 6


@pytest.mark.parametrize(("conditional", "winners"), [("atomic", {1}), ("ignored", {8})])
def test_of_eight_that_create_one_key(
    conditional: Conditional,
    winners: set[int],
    s3_server: S3Server,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with FaultProxy(s3_server.endpoint, rate=0.0, conditional=conditional) as proxy:
        for name, value in {**s3_server.environment(), "AWS_ENDPOINT_URL": proxy.endpoint}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path))
        store = RemoteStore(f"s3://{BUCKET}/{prefix}")
        store.list_folders("")  # one client for all threads
        with ThreadPoolExecutor(8) as threads:
            created = list(threads.map(lambda n: store.create_bytes("filter/aa/manifest.json", b"%d" % n), range(8)))
        assert {sum(created)} == winners
        found = int(store.read_bytes("filter/aa/manifest.json"))
        assert created[found]


@pytest.mark.slow
@pytest.mark.parametrize("conditional", ["atomic", "ignored", "as is"])
def test_machines_that_begin_at_once_end_with_one_artifact_of_each_stage(
    conditional: Conditional, s3_server: S3Server, prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_recipe(tmp_path)
    with FaultProxy(s3_server.endpoint, rate=0.0, conditional=conditional) as proxy:
        environment = {**ENVIRONMENT, **s3_server.environment(), "AWS_ENDPOINT_URL": proxy.endpoint}
        url = f"s3://{BUCKET}/{prefix}"
        machines = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.overlapping", str(recipe), url, "0", "1"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**environment, "PRETRAIN_CACHE_DIR": str(tmp_path / f"machine-{number}")},
            )
            for number in range(NUM_MACHINES)
        ]
        ended = [machine.communicate(timeout=250) for machine in machines]
    assert [machine.returncode for machine in machines] == [0] * NUM_MACHINES, ended
    said = [json.loads(text) for text, _ in ended]
    assert [one["lost"] for one in said] == [[]] * NUM_MACHINES
    built = sum(one["built"] for one in said)
    assert built == STAGES_TO_THE_TOKENIZER if conditional == "atomic" else built >= STAGES_TO_THE_TOKENIZER
    alone = subprocess.run(
        [sys.executable, "-m", "tests.chaos.overlapping", str(recipe), str(tmp_path / "local"), "0", "1"],
        check=True,
        env=ENVIRONMENT,
    )
    assert alone.returncode == 0
    content = content_of_bucket(s3_server, prefix)
    assert content == content_of(tmp_path / "local")
    with capsys.disabled():
        print(
            f"\nIf-None-Match {conditional}: {NUM_MACHINES} machines at once built {built} stages and found "
            f"{sum(one['cached'] for one in said)}, by {proxy.num_requests} requests; {counted(content)}"
        )


@pytest.mark.parametrize("conditional", ["atomic", "ignored"])
@pytest.mark.parametrize("theirs", ["", "data/", "nothing"])
def test_results_that_differ_end_as_one_whose_every_part_is_there(
    conditional: Conditional,
    theirs: str,
    s3_server: S3Server,
    s3_store: RemoteStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with FaultProxy(s3_server.endpoint, rate=0.0, conditional=conditional) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        spec = RunSpec(recipe=str(write_recipe(tmp_path)), store=s3_store.url)
        pipeline = OvertakenPipeline(spec, puts_last=lambda path: path.startswith(theirs))
        if theirs == "data/":
            with pytest.raises(StoreError, match="the parts of both are mixed"):
                obtain_download(pipeline)
        artifact = obtain_download(pipeline).artifact
        assert (artifact.manifest == pipeline.other.manifest) is (theirs == "")
        monkeypatch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path / "another machine"))
        elsewhere = spec.pipeline().open(artifact.key)
        assert elsewhere.manifest == artifact.manifest
        assert sha256s_in(s3_store, artifact.key) == sha256s_of(elsewhere.manifest)


def test_a_receipt_does_not_count_with_the_file_of_another_machine(
    s3_store: RemoteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = RunSpec(recipe=str(write_recipe(tmp_path)), store=s3_store.url)
    whole = obtain_download(spec.pipeline()).artifact
    key = f"{whole.key}/data/part-00000.parquet"
    s3_store.delete(f"{whole.key}/manifest.json")  # as if killed before its commit
    s3_store.write_bytes(key, s3_store.read_bytes(key)[:-1] + b"?")
    resumed = obtain_download(spec.pipeline()).artifact
    assert sha256s_in(s3_store, whole.key) == sha256s_of(resumed.manifest) == sha256s_of(whole.manifest)
