"""What Prefect adds: states, retries, artifacts in the UI; against a real server with its own database."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pretrain.errors import StageError, StorePermissionError, WorkerDiedError
from pretrain.runner import InlineRunner
from pretrain.runs import list_run_ids, load_run
from pretrain.spec import RunSpec
from pretrain.store import LocalStore
from tests.tiny import prose, write_recipe

pytestmark = pytest.mark.usefixtures("prefect_server")


class StumblingRunner(InlineRunner):
    """A runner whose first maps fail, as many as there are errors left in a shared list."""

    def __init__(self, errors: list[Exception]) -> None:
        self._errors = errors

    def map(self, function: Callable[[Any], Any], payloads: Any) -> Iterator[tuple[str, Any]]:
        if self._errors:
            raise self._errors.pop()
        return super().map(function, payloads)

    def __enter__(self) -> "StumblingRunner":
        return self

    def __exit__(self, *exc_info: object) -> None:
        return


class Stumbling:
    """Gives every stage of a run a runner that fails with these errors first; counts the runners asked for."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.num_runners = 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every stage from here on gets its runner from here."""
        monkeypatch.setattr(RunSpec, "runner", lambda spec: self.runner())

    def runner(self) -> StumblingRunner:
        self.num_runners += 1
        return StumblingRunner(self.errors)


def states_of(run_id: str) -> dict[str, tuple[str, int]]:
    """The final state and the number of attempts of every task, for the flow runs named after `run_id`."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        runs = client.read_task_runs(limit=200)
        flows = {flow.id: flow for flow in client.read_flow_runs(limit=200)}
    stages = [run for run in runs if "pretrain" in run.tags]  # a sub-flow has a task run of its own
    mine = [run for run in stages if run_id in str(flows[run.flow_run_id].parameters)]
    return {run.name: (run.state.name, run.run_count) for run in mine if run.state is not None}


def spec_of(folder: Path, **fields: Any) -> RunSpec:
    return RunSpec(recipe=str(write_recipe(folder)), store=str(folder / "store"), **fields)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages in this process: spawning workers is not what these tests are about."""
    Stumbling().install(monkeypatch)


@pytest.mark.usefixtures("quick")
def test_a_stage_found_in_the_store_is_shown_as_cached(tmp_path: Path) -> None:
    from flows.pretrain import pretrain

    first = pretrain(spec_of(tmp_path, until="filter", run_id="run-one"))
    assert states_of(first) == {"download": ("Completed", 1), "filter": ("Completed", 1)}
    second = pretrain(spec_of(tmp_path, until="dedup", run_id="run-two"))
    assert states_of(second) == {"download": ("Cached", 1), "filter": ("Cached", 1), "dedup": ("Completed", 1)}
    records = [load_run(LocalStore(tmp_path / "store"), run_id) for run_id in ("run-one", "run-two")]
    assert [[stage.action for stage in record.stages] for record in records] == [
        ["built", "built"],
        ["cached", "cached", "built"],
    ]


def test_a_stage_whose_worker_died_is_retried_and_the_run_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.pretrain import pretrain

    Stumbling(WorkerDiedError("a worker process died")).install(monkeypatch)
    run_id = pretrain(spec_of(tmp_path, until="filter", run_id="retried"))
    assert states_of(run_id) == {"download": ("Completed", 2), "filter": ("Completed", 1)}
    assert load_run(LocalStore(tmp_path / "store"), run_id).state == "completed"


def test_a_failure_that_no_retry_cures_ends_the_run_at_once_and_the_next_run_does_that_stage_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.pretrain import pretrain

    Stumbling().install(monkeypatch)
    pretrain(spec_of(tmp_path, until="download", run_id="before"))
    stumbling = Stumbling(StorePermissionError("the store refused the key"))
    stumbling.install(monkeypatch)
    with pytest.raises(StorePermissionError, match="the store refused the key"):
        pretrain(spec_of(tmp_path, until="filter", run_id="refused"))
    failed = load_run(LocalStore(tmp_path / "store"), "refused")
    assert stumbling.num_runners == 2  # download, which was found, and one attempt of filter
    assert failed.state == "failed"
    assert failed.error is not None
    assert (failed.error.stage, failed.error.message) == ("filter", "the store refused the key")
    assert failed.error.resume.startswith("pretrain run ")
    pretrain(spec_of(tmp_path, until="filter", run_id="after"))
    after = load_run(LocalStore(tmp_path / "store"), "after")
    assert [(stage.stage, stage.action) for stage in after.stages] == [("download", "cached"), ("filter", "built")]


@pytest.mark.usefixtures("quick")
def test_progress_and_counts_are_artifacts_in_the_ui(tmp_path: Path) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    from flows.pretrain import pretrain

    pretrain(spec_of(tmp_path, until="download", run_id="artifacts"))
    with get_client(sync_client=True) as client:
        keys = ArtifactFilter(key=ArtifactFilterKey(any_=["download-progress", "download-stats"]))
        found = {artifact.key: artifact for artifact in client.read_artifacts(artifact_filter=keys)}
    assert found["download-progress"].type == "progress"
    rows = {row["name"]: row["value"] for row in yaml.safe_load(str(found["download-stats"].data))}
    assert rows["documents_out"] == 264
    assert rows["dropped_by_reason.invalid_json"] == 1


@pytest.mark.slow
def test_the_model_and_how_far_its_training_is_are_artifacts_in_the_ui(tmp_path: Path) -> None:
    from flows.pretrain import pretrain

    operations = '[{"op": "upscale_depth", "overlap": 1}, {"op": "cast", "dtype": "bfloat16"}]'
    overrides = [f"init.operations={operations}", "init.validation_sequences=4"]
    pretrain(spec_of(tmp_path, until="train", run_id="training", overrides=overrides))
    found = newest_tables("init-stats", "train-progress", "train-stats")
    model = {row["name"]: row["value"] for row in yaml.safe_load(str(found["init-stats"].data))}
    kinds = ("embedding", "attention", "mlp", "norm", "lm_head")
    assert sum(model[f"parameters_by_kind.{kind}"] for kind in kinds) == model["parameters"]
    assert model["tokens_for_20x"] == 20 * model["parameters"]
    assert {f"training_memory_bytes.{name}" for name in ("weights", "gradients", "optimizer_states", "activations")} < {
        *model
    }
    assert (model["operations.1.op"], model["operations.2.op"]) == ("upscale_depth", "cast")
    assert len(model["sources.tokenizer"]) == 32 and model["flops_per_token"] > 0 and model["validation_loss"] > 0
    assert found["train-progress"].type == "progress"
    last = r"100%: step 12/12 (loss \d\.\d{3}|validation loss \d\.\d{3} \(\d\.\d{3} bits per byte\))"
    assert re.match(last, str(found["train-progress"].description))
    training = {row["name"] for row in yaml.safe_load(str(found["train-stats"].data))}
    assert {"loss_final", "validation_loss", "bits_per_byte", "tokens_per_second", "mfu", "step_seconds"} < training


@pytest.mark.usefixtures("quick")
def test_the_funnel_is_shown_with_examples_also_for_a_stage_found_in_the_store(tmp_path: Path) -> None:
    from flows.pretrain import pretrain

    spec = spec_of_two_sources(tmp_path)
    for run_id, action in (("funnel-one", "built"), ("funnel-two", "cached")):
        pretrain(spec.model_copy(update={"run_id": run_id}))
        found = newest_tables(*(f"{stage}-{kind}" for stage in ("filter", "dedup") for kind in ("funnel", "dropped")))
        assert all(str(one.description).startswith(f"{action}: ") for one in found.values())
        tables = {key: yaml.safe_load(str(one.data)) for key, one in found.items()}
        assert [row["source"] for row in tables["filter-funnel"]] == ["reference", "web", "all"]
        assert [(row["reason"], row["most of them from"]) for row in tables["filter-dropped"]] == [
            *[("too_few_lines", "web 4"), ("", ""), ("", "")],
            *[("paragraph_repetition", "web 2"), ("", "")],
        ]
        assert [row["reason"] for row in tables["dedup-dropped"]][:3] == ["exact_duplicate", "", ""]
        assert all(row["text"] for row in tables["filter-dropped"] + tables["dedup-dropped"])


def spec_of_two_sources(folder: Path) -> RunSpec:
    """The second source, and so the second part, has four short texts, two that repeat and a good one."""
    texts = [*(f"short {n}" for n in range(4)), *(f"line of text\n\nline of text\n\nlast {n}" for n in range(2))]
    rows = [json.dumps({"text": text}) for text in [*texts, *prose(1)]]
    (folder / "web.jsonl").write_text("\n".join(rows), encoding="utf-8")
    sources = [{"name": "reference", "uri": "corpus/*.jsonl"}, {"name": "web", "uri": "web.jsonl"}]
    recipe = write_recipe(folder, download={"sources": sources})
    return RunSpec(recipe=str(recipe), store=str(folder / "store"), until="dedup")


def newest_tables(*keys: str) -> dict[str, Any]:
    """The newest artifact in the UI under each key."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
    from prefect.client.schemas.sorting import ArtifactSort

    with get_client(sync_client=True) as client:
        named = ArtifactFilter(key=ArtifactFilterKey(any_=list(keys)))
        newest_first = client.read_artifacts(artifact_filter=named, sort=ArtifactSort.CREATED_DESC)
    return {str(artifact.key): artifact for artifact in reversed(newest_first)}


@pytest.mark.usefixtures("quick")
def test_a_sub_flow_alone_starts_from_what_the_store_has(tmp_path: Path) -> None:
    from flows.prepare_data import prepare_data
    from flows.train_model import train_model

    spec = spec_of(tmp_path, until="tokenizer")
    shard = prepare_data(spec)
    assert shard.key.startswith("shard/")
    assert set(train_model(spec)) == {"tokenizer"}
    store = LocalStore(tmp_path / "store")
    records = [load_run(store, run_id) for run_id in list_run_ids(store)]
    assert [(record.state, record.stages[-1].stage) for record in records] == [
        ("completed", "shard"),  # a record each, which `pretrain gc` keeps as it does those of the whole DAG
        ("completed", "tokenizer"),
    ]
    assert [record.stage("shard").action for record in records] == ["built", "cached"]


@pytest.mark.usefixtures("quick")
def test_the_record_of_a_run_is_written_when_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows import pretrain as module

    seen = []
    monkeypatch.setattr(
        module, "prepare_data", lambda spec: seen.append(load_run(LocalStore(tmp_path / "store"), "begun").state)
    )
    with pytest.raises(StageError, match="the run ended without download"):
        module.pretrain(spec_of(tmp_path, until="download", run_id="begun"))
    assert seen == ["running"]
    assert load_run(LocalStore(tmp_path / "store"), "begun").state == "failed"  # never completed without its stages


def test_every_deployment_names_a_flow_that_a_worker_can_load_and_fits_its_parameters() -> None:
    root = Path(__file__).parents[2]
    deployments = yaml.safe_load((root / "deployments" / "prefect.yaml").read_text())["deployments"]
    assert [deployment["name"] for deployment in deployments] == ["pretrain", "prepare-data", "train-model", "evaluate"]
    # In a process of its own, as a worker does it: here the modules are imported already.
    script = (
        "import json, sys\n"
        "from prefect.flows import load_flow_from_entrypoint\n"
        "for entrypoint, parameters in json.loads(sys.argv[1]):\n"
        "    flow = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)\n"
        "    print(type(flow.validate_parameters(parameters)['spec']).__name__)\n"
    )
    pairs = json.dumps([[deployment["entrypoint"], deployment["parameters"]] for deployment in deployments])
    command = [sys.executable, "-c", script, pairs]
    loaded = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == ["RunSpec"] * 4
