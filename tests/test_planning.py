"""`pretrain plan`: what rebuilds what, and in which words. The store here holds manifests without parts."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pretrain.artifact import Manifest, artifact_key
from pretrain.dag import node, stages_of
from pretrain.pipeline import Pipeline
from pretrain.planning import PlannedStage, make_plan
from pretrain.spec import RunSpec
from pretrain.store import LocalStore
from tests.tiny import write_recipe

ALL = ["download", "filter", "dedup", "language", "shard", "tokenizer", "pack", "init", "train", "eval"]


def pipeline_of(recipe: Path, overrides: Sequence[str] = ()) -> Pipeline:
    return RunSpec(recipe=str(recipe), store=str(recipe.parent / "store"), overrides=list(overrides)).pipeline()


def pretend_built(pipeline: Pipeline) -> None:
    """Puts a manifest with no parts in the store for every stage."""
    fingerprints: dict[str, str] = {}
    for stage in stages_of(pipeline.recipe):
        roles = node(stage).inputs(pipeline.recipe)
        identity = pipeline.identify(stage, {role: fingerprints[name] for role, name in roles.items()})
        fingerprints[stage] = identity.fingerprint
        manifest = Manifest(
            stage=stage,
            stage_version=identity.version,
            fingerprint=identity.fingerprint,
            inputs=identity.inputs,
            config=identity.config,
            parts=[],
            stats={},
            provenance={},
        )
        pipeline.store.write_bytes(f"{artifact_key(stage, identity.fingerprint)}/manifest.json", manifest.to_bytes())


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = write_recipe(tmp_path)
    pretend_built(pipeline_of(path))
    return path


def to_build(plan: list[PlannedStage]) -> dict[str, list[str]]:
    return {stage.stage: list(stage.reasons) for stage in plan if stage.action == "build"}


def test_an_empty_store_builds_everything(tmp_path: Path) -> None:
    plan = make_plan(pipeline_of(write_recipe(tmp_path)))
    assert to_build(plan) == {stage: [f"the store has no {stage} artifact yet"] for stage in ALL}


def test_a_full_store_builds_nothing_and_planning_writes_nothing(recipe: Path) -> None:
    store = LocalStore(recipe.parent / "store")
    before = store.list_sizes("")
    assert to_build(make_plan(pipeline_of(recipe))) == {}
    assert store.list_sizes("") == before


def test_a_learning_rate_rebuilds_train_and_eval_alone(recipe: Path) -> None:
    plan = make_plan(pipeline_of(recipe, ["train.learning_rate=0.5"]))
    reasons = to_build(plan)
    assert list(reasons) == ["train", "eval"]
    assert reasons["train"] == ["train.learning_rate: 0.01 -> 0.5"]
    assert [reason.split(":")[0] for reason in reasons["eval"]] == ["input train changed"]


def test_a_filter_threshold_rebuilds_filter_and_all_after_it_but_not_download(recipe: Path) -> None:
    reasons = to_build(make_plan(pipeline_of(recipe, ["filter.rules.0.min_long_lines=4"])))
    assert list(reasons) == ALL[1:]
    assert reasons["filter"] == ["filter.rules.0.min_long_lines: 3 -> 4"]


@pytest.mark.parametrize(
    ("override", "first", "reason"),
    [
        ("seed=2", "shard", "seed: 1 -> 2"),
        ("language=null", "shard", "input language is gone"),
        ("dedup.minhash=null", "dedup", "dedup.minhash: (absent) -> None"),
        ("eval.num_fewshot=1", "eval", "eval.num_fewshot: 0 -> 1"),
        ("tokenizer.train.vocab_size=300", "tokenizer", "tokenizer.train.vocab_size: 384 -> 300"),
    ],
)
def test_the_key_that_makes_a_stage_rebuild_is_named(recipe: Path, override: str, first: str, reason: str) -> None:
    reasons = to_build(make_plan(pipeline_of(recipe, [override])))
    assert next(iter(reasons)) == first
    assert reason in reasons[first]


@pytest.mark.parametrize("override", ["name=another"])
def test_what_bears_on_no_result_rebuilds_nothing(recipe: Path, override: str) -> None:
    assert to_build(make_plan(pipeline_of(recipe, [override]))) == {}


def test_a_changed_source_file_is_noticed_and_a_touched_or_moved_one_is_not(recipe: Path) -> None:
    corpus = recipe.parent / "corpus" / "a.jsonl"
    (recipe.parent / "corpus").rename(recipe.parent / "moved")
    moved = recipe.parent / "moved" / "a.jsonl"
    moved.touch()
    assert to_build(make_plan(pipeline_of(recipe, ["download.sources.0.uri=moved/*.jsonl"]))) == {}
    (recipe.parent / "moved").rename(corpus.parent)
    corpus.write_text(corpus.read_text() + json.dumps({"text": "one more"}) + "\n")
    reasons = to_build(make_plan(pipeline_of(recipe)))
    assert list(reasons) == ALL
    assert reasons["download"][0].startswith("input source:reference changed: ")


def test_the_nearest_artifact_is_the_one_compared_with(recipe: Path) -> None:
    pretend_built(pipeline_of(recipe, ["train.learning_rate=0.5", "train.max_steps=20"]))
    reasons = to_build(make_plan(pipeline_of(recipe, ["train.learning_rate=0.5", "train.max_steps=21"])))
    assert reasons["train"] == ["train.max_steps: 20 -> 21"]


def test_until_plans_a_stage_and_what_it_needs(recipe: Path) -> None:
    pipeline = pipeline_of(recipe)
    assert [stage.stage for stage in make_plan(pipeline, "init")] == [*ALL[:6], "init"]
    assert [stage.stage for stage in make_plan(pipeline, "filter")] == ALL[:2]


def test_an_unfinished_build_is_told_from_none(recipe: Path) -> None:
    pipeline = pipeline_of(recipe, ["filter.rules.0.min_long_lines=4"])
    planned = make_plan(pipeline)[1]
    pipeline.store.write_bytes(f"filter/{planned.fingerprint}/receipts/part-00000.json", b"{}")
    reasons = to_build(make_plan(pipeline))["filter"]
    assert reasons == ["an earlier build was not finished; its completed units are kept"]


def test_a_manifest_that_was_cut_short_counts_as_none(recipe: Path) -> None:
    pipeline = pipeline_of(recipe)
    planned = make_plan(pipeline)[1]
    pipeline.store.write_bytes(f"filter/{planned.fingerprint}/manifest.json", b'{"schema_version": 1, "sta')
    assert list(to_build(make_plan(pipeline))) == ["filter"]
