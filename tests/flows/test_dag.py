"""The whole DAG as a user runs it: what it makes, that it is made once, and that it is the same everywhere."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pretrain.dag import node, stages_of
from pretrain.pipeline import Pipeline
from pretrain.runner import InlineRunner
from pretrain.spec import RunSpec
from tests.command import pretrain
from tests.content import content_of, num_parts
from tests.flows.conftest import Run
from tests.tiny import write_recipe

ALL = ["download", "filter", "dedup", "language", "shard", "tokenizer", "pack", "init", "train", "eval"]


class NoWork(InlineRunner):
    """A runner that refuses to compute."""

    def map(self, function: Any, payloads: Any) -> Any:
        for name, _ in payloads:
            raise RuntimeError(f"unit {name} was computed")
        return iter(())


def test_it_ends_with_the_json_that_programs_rely_on(tiny_run: Run) -> None:
    out = tiny_run.ended.out
    assert set(out) == {"run_id", "store", "state", "seconds", "stages", "error"}
    assert (out["state"], out["error"]) == ("completed", None)
    assert [(stage["stage"], stage["action"]) for stage in out["stages"]] == [(name, "built") for name in ALL]
    stats = {stage["stage"]: stage["stats"] for stage in out["stages"]}
    documents = {"documents_in", "documents_out", "documents_dropped", "bytes_in", "bytes_out", "dropped_by_reason"}
    for stage in ALL[:4]:
        assert documents <= set(stats[stage])
    assert {"tokens", "sequences", "sequence_length", "tokens_dropped", "packing_efficiency"} <= set(stats["pack"])
    assert {"parameters", "flops_per_token"} <= set(stats["init"])
    train = {"steps", "tokens", "loss_first", "loss_final", "validation_loss", "bits_per_byte", "tokens_per_second"}
    assert {*train, "mfu"} <= set(stats["train"])
    assert set(stats["eval"]["results"]) == {"init", "train"}
    assert set(stats["eval"]["results"]["train"]) == {"continuation_choice", "bits_per_byte"}


def test_nothing_is_left_behind_but_the_store(tiny_run: Run) -> None:
    folder = tiny_run.recipe.parent
    assert sorted(path.name for path in folder.iterdir()) == ["corpus", "home", "store", "tiny.yaml", "tmp"]
    assert [*(folder / "home").iterdir(), *(folder / "tmp").iterdir()] == []
    assert [*(folder / "store" / ".tmp").iterdir()] == []


def test_no_document_is_lost_silently(tiny_run: Run) -> None:
    stats = {stage["stage"]: stage["stats"] for stage in tiny_run.ended.out["stages"]}
    assert stats["download"]["dropped_by_reason"] == {"invalid_json": 1, "missing_text": 1}
    assert stats["dedup"]["dropped_by_reason"]["exact_duplicate"] >= 24
    for before, after in itertools.pairwise(ALL[:5]):
        assert stats[after]["documents_in"] == stats[before]["documents_out"]
        dropped = sum(stats[before]["dropped_by_reason"].values())
        assert stats[before]["documents_in"] == stats[before]["documents_out"] + dropped


def test_training_learned_something(tiny_run: Run) -> None:
    stats = tiny_run.ended.out["stages"][-2]["stats"]
    assert stats["validation_loss"] < stats["validation_loss_first"]


def test_a_second_run_builds_nothing_and_ends_in_seconds(tiny_run: Run) -> None:
    before = content_of(tiny_run.store)
    files = {path: path.stat().st_mtime_ns for path in tiny_run.store.glob("*/*/**/*") if path.is_file()}
    ended = pretrain("run", tiny_run.recipe, "--store", tiny_run.store, "--json")
    assert {stage["action"] for stage in ended.out["stages"]} == {"cached"}
    assert ended.out["seconds"] < 5
    assert content_of(tiny_run.store) == before
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_a_second_run_calls_no_stage_function(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*arguments: object) -> None:
        raise RuntimeError("a stage was built")

    monkeypatch.setattr(Pipeline, "_build", build)
    pipeline = RunSpec(recipe=str(tiny_run.recipe), store=str(tiny_run.store)).pipeline()
    artifacts: dict[str, Any] = {}
    for stage in stages_of(pipeline.recipe):
        inputs = {role: artifacts[name] for role, name in node(stage).inputs(pipeline.recipe).items()}
        outcome = pipeline.obtain(stage, inputs, runner=NoWork(), progress=lambda done, total, text: None)
        assert outcome.action == "cached"
        artifacts[stage] = outcome.artifact


@pytest.mark.parametrize("until", ["pack", pytest.param("eval", marks=pytest.mark.slow)])
def test_another_store_one_worker_and_a_server_of_ones_own_give_the_same_bytes(
    tiny_run: Run, tmp_path: Path, prefect_server: str, until: str
) -> None:
    recipe, store = write_recipe(tmp_path), tmp_path / "other"
    arguments = ("run", recipe, "--store", store, "--workers", "1", "--until", until, "--json")
    ended = pretrain(*arguments, PREFECT_API_URL=prefect_server)
    assert ended.code == 0, ended.errors
    stages = ALL[: ALL.index(until) + 1]
    expected = {key: value for key, value in content_of(tiny_run.store).items() if key.split("/")[0] in stages}
    assert content_of(store) == expected
    assert len(expected) == len(stages)
    assert num_parts(expected) > 20


def test_damaged_parts_are_found_by_verify_and_rebuilt_by_the_next_run(
    tiny_run: Run, tmp_path: Path, prefect_server: str
) -> None:
    store = tmp_path / "store"
    shutil.copytree(tiny_run.store, store)
    expected = content_of(store)
    deleted = next(store.glob("filter/*/data/part-00000.parquet"))
    deleted.unlink()
    flipped = next(store.glob("language/*/data/part-00000.parquet"))
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 1
    flipped.write_bytes(data)
    verdict = pretrain("verify", "--store", store, "--json")
    assert verdict.code == 1
    assert [(entry["artifact"], entry["path"], entry["problem"]) for entry in verdict.out["damaged"]] == [
        (f"filter/{deleted.parts[-3]}", "data/part-00000.parquet", "missing"),
        (f"language/{flipped.parts[-3]}", "data/part-00000.parquet", "wrong sha256"),
    ]
    plan = pretrain("plan", tiny_run.recipe, "--store", store, "--json").out["stages"]
    assert {stage["stage"]: stage["reasons"] for stage in plan if stage["action"] == "build"} == {
        "filter": ["data/part-00000.parquet is damaged (missing)"],
        "language": ["data/part-00000.parquet is damaged (wrong sha256)"],
    }
    arguments = ("run", tiny_run.recipe, "--store", store, "--until", "shard", "--json")
    ended = pretrain(*arguments, PREFECT_API_URL=prefect_server)
    actions = [stage["action"] for stage in ended.out["stages"]]
    assert actions == ["cached", "built", "cached", "built", "cached"]
    assert content_of(store) == expected
    assert pretrain("verify", "--store", store, "--json").code == 0


def test_why_tells_the_life_of_a_document(tiny_run: Run) -> None:
    rows = [json.loads(line) for line in (tiny_run.recipe.parent / "corpus/a.jsonl").read_text().splitlines()[:-2]]
    ended = pretrain("why", rows[0]["text"][:200], "--run", "latest", "--store", tiny_run.store, "--json")
    assert ended.code == 0, ended.errors
    first = ended.out
    decisions = {decision["stage"]: decision for decision in first["decisions"]}
    assert set(decisions["filter"]) == {"stage", "kept", "reason", "value", "threshold", "evidence"}
    assert decisions["filter"]["kept"] is True
    assert decisions["dedup"]["kept"] in (True, False)
    if not decisions["dedup"]["kept"]:
        keeper = decisions["dedup"]["evidence"]
        again = pretrain("why", keeper, "--run", "latest", "--store", tiny_run.store, "--json").out
        assert again["decisions"][2]["kept"] is True
    unknown = pretrain("why", "no document says this", "--store", tiny_run.store, "--json")
    assert (unknown.code, unknown.text) == (2, "")


def test_ls_show_and_sample_find_what_the_run_made(tiny_run: Run) -> None:
    listed = pretrain("ls", "--store", tiny_run.store, "--json").out
    assert sorted(entry["stage"] for entry in listed["artifacts"]) == sorted(ALL)
    assert {run["state"] for run in listed["runs"]} == {"completed"}
    pack = next(entry for entry in listed["artifacts"] if entry["stage"] == "pack")
    manifest = pretrain("show", f"pack/{pack['fingerprint'][:8]}", "--store", tiny_run.store, "--json").out
    assert manifest["fingerprint"] == pack["fingerprint"]
    assert {record["stage"] for record in manifest["inputs"]} == {"shard", "tokenizer"}
    arguments = ("sample", "latest", "--prompt", "The", "--max-new-tokens", "5", "--store", tiny_run.store, "--json")
    [sample] = pretrain(*arguments).out["samples"]
    assert (sample["model"], sample["prompt"]) == ("latest", "The")
    assert sample["text"]
