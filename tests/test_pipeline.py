"""One stage against a store: found, built, built again, refused; on a local folder and on a remote store."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pretrain.artifact import Artifact, find_damage
from pretrain.errors import DamagedArtifactError, InputError, NotInStoreError, StageError, StoreError, UsageError
from pretrain.filehash import FileHashes
from pretrain.pipeline import Outcome, Pipeline
from pretrain.planning import make_plan
from pretrain.runner import InlineRunner
from pretrain.runs import load_run, recorded_run
from pretrain.spec import RunSpec
from tests.other_machine import OvertakenPipeline, sha256s_in, sha256s_of
from tests.tiny import write_recipe


@pytest.fixture(params=["local", "remote"])
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> RunSpec:
    store = str(tmp_path / "store") if request.param == "local" else f"memory://{uuid.uuid4().hex}"
    return RunSpec(recipe=str(write_recipe(tmp_path)), store=store, until="filter")


def obtain_download(pipeline: Pipeline, *, refresh: bool = False) -> Outcome:
    return pipeline.obtain("download", {}, runner=InlineRunner(), progress=lambda *_: None, refresh=refresh)


def download(spec: RunSpec, *, refresh: bool = False) -> Outcome:
    return obtain_download(spec.pipeline(), refresh=refresh)


def test_it_is_built_once_and_found_after(spec: RunSpec) -> None:
    first, second = download(spec), download(spec)
    assert (first.action, second.action) == ("built", "cached")
    assert first.artifact.manifest == second.artifact.manifest
    assert find_damage(first.artifact, FileHashes(), rehash=True) == []


def test_a_refresh_builds_again_to_the_same_content(spec: RunSpec) -> None:
    first = download(spec.model_copy(update={"run_id": "one"}))
    second = download(spec.model_copy(update={"run_id": "two"}), refresh=True)
    assert second.action == "built"
    assert first.artifact.manifest.content() == second.artifact.manifest.content()
    ids = [outcome.artifact.manifest.provenance["run_id"] for outcome in (first, second)]
    assert ids == ["one", "two"]


def test_a_source_that_changes_after_the_plan_is_an_error_and_not_another_artifact(spec: RunSpec) -> None:
    planned = {stage.stage: stage.fingerprint for stage in make_plan(spec.pipeline())}
    corpus = Path(spec.recipe).parent / "corpus" / "a.jsonl"
    corpus.write_text(corpus.read_text() + '{"text": "one more"}\n')
    with pytest.raises(InputError, match="changed while the run was on its way"):
        download(spec.model_copy(update={"planned": planned}))
    assert spec.pipeline().store.list_sizes("download") == {}


def test_what_the_recipe_leaves_out_and_what_the_store_has_not_cannot_be_obtained(spec: RunSpec) -> None:
    without = spec.model_copy(update={"overrides": ["filter=null"], "until": None})
    with pytest.raises(UsageError, match="the recipe has no filter"):
        without.pipeline().identify("filter", {"documents": "x"})
    with pytest.raises(NotInStoreError, match="has no artifact download/abc"):
        spec.pipeline().open("download/abc")


def flip(artifact: Artifact, path: str) -> None:
    """Changes one byte of a part where it lies, as a faulty disk or a stray hand does."""
    key = f"{artifact.key}/{path}"
    data = bytearray(artifact.store.read_bytes(key))
    data[len(data) // 2] ^= 1
    artifact.store.write_bytes(key, bytes(data))


def test_a_flipped_byte_is_found_by_verify_and_never_read_and_the_next_run_heals_it(spec: RunSpec) -> None:
    built = download(spec)
    flip(built.artifact, "data/part-00000.parquet")
    [damage] = find_damage(built.artifact, FileHashes(), rehash=True)
    assert (damage.path, damage.problem) == ("data/part-00000.parquet", "wrong sha256")
    with pytest.raises(DamagedArtifactError, match=r"data/part-00000.parquet is damaged \(wrong sha256\)"):
        built.artifact.open_part("data/part-00000.parquet")
    healed = download(spec)
    assert healed.action == "built"
    assert healed.artifact.manifest.content() == built.artifact.manifest.content()
    assert find_damage(healed.artifact, FileHashes(), rehash=True) == []
    assert healed.artifact.open_part("data/part-00000.parquet").stat().st_size > 0


def test_a_build_that_fails_because_another_run_finished_it_takes_that_one(
    spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = download(spec)
    store = spec.pipeline().store
    manifest = store.read_bytes(f"{other.artifact.key}/manifest.json")
    store.delete(other.artifact.key)

    def finished_by_another(*_: object) -> dict[str, object]:
        store.write_bytes(f"{other.artifact.key}/manifest.json", manifest)
        raise FileNotFoundError("scratch/0 was removed by the run that finished")

    monkeypatch.setattr("pretrain.pipeline._compute", finished_by_another)
    monkeypatch.setattr("pretrain.pipeline.find_damage", lambda *_, **__: [])
    assert download(spec).action == "cached"


@pytest.mark.parametrize(("is_theirs", "action"), [(True, "cached"), (False, "built")], ids=["theirs", "mine"])
def test_of_two_different_results_the_one_whose_parts_are_there_is_kept(
    spec: RunSpec, is_theirs: bool, action: str
) -> None:
    pipeline = OvertakenPipeline(spec, puts_last=lambda _: is_theirs)
    outcome = obtain_download(pipeline)
    assert outcome.action == action
    assert pipeline.other.manifest is not None
    assert (outcome.artifact.manifest == pipeline.other.manifest) is is_theirs
    assert sha256s_in(pipeline.store, outcome.artifact.key) == sha256s_of(outcome.artifact.manifest)
    assert outcome.artifact.open_part("data/part-00000.parquet").read_bytes().endswith(b"?") is is_theirs
    again = obtain_download(spec.pipeline())
    assert (again.action, again.artifact.manifest) == ("cached", outcome.artifact.manifest)


@pytest.mark.parametrize("theirs", ["data/", "inputs/", "ledger/"])
def test_two_results_that_are_mixed_are_taken_back_and_a_retry_ends_with_one(spec: RunSpec, theirs: str) -> None:
    pipeline = OvertakenPipeline(spec, puts_last=lambda path: path.startswith(theirs))
    with pytest.raises(StoreError, match="with other results, and the parts of both are mixed") as raised:
        obtain_download(pipeline)
    assert raised.value.stage == "download"
    left = pipeline.store.list_sizes("download")
    assert left and not [key for key in left if key.endswith("/manifest.json")]
    outcome = obtain_download(pipeline)
    assert outcome.action == "built"
    assert sha256s_in(pipeline.store, outcome.artifact.key) == sha256s_of(outcome.artifact.manifest)
    assert find_damage(outcome.artifact, FileHashes(), rehash=True) == []


@pytest.fixture
def failing(spec: RunSpec) -> Iterator[None]:
    with pytest.raises(StageError, match="the second stage failed"), recorded_run(spec) as run:
        pipeline = run.pipeline()
        pipeline.obtain("download", {}, runner=InlineRunner(), progress=lambda *_: None)
        error = StageError("the second stage failed")
        error.stage = "filter"
        raise error
    yield


@pytest.mark.usefixtures("failing")
def test_the_record_of_a_failed_run_names_what_was_built_and_how_to_go_on(spec: RunSpec) -> None:
    record = load_run(spec.pipeline().store, "latest")
    assert record.state == "failed"
    assert [(stage.stage, stage.action) for stage in record.stages] == [("download", "built")]
    assert record.error is not None
    assert (record.error.stage, record.error.message) == ("filter", "the second stage failed")
    assert record.error.resume == f"pretrain run {spec.recipe} --store {record.store} --until filter"


def test_a_refresh_that_was_not_begun_stays_in_the_command_that_resumes(spec: RunSpec) -> None:
    download(spec)
    again = spec.model_copy(update={"refresh": ["download", "filter"]})
    with pytest.raises(StageError), recorded_run(again) as run:
        run.pipeline().obtain("download", {}, runner=InlineRunner(), progress=lambda *_: None, refresh=True)
        raise StageError("stopped before filter")
    record = load_run(spec.pipeline().store, "latest")
    assert [(stage.stage, stage.action) for stage in record.stages] == [("download", "built")]
    assert record.error is not None
    assert "--refresh" not in record.error.resume.replace("--refresh filter", "")


def test_pipelines_share_nothing_but_the_store(spec: RunSpec) -> None:
    first, second = spec.pipeline(), spec.pipeline()
    assert first is not second
    assert isinstance(first, Pipeline)
    assert first.identify("download", {}).fingerprint == second.identify("download", {}).fingerprint
