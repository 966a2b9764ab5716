"""The stage as a whole, with its child process: a tiny trained model and its baseline."""

import json

import pytest

from pretrain.errors import StageError
from pretrain.eval.config import EvalConfig
from pretrain.eval.models import num_threads
from pretrain.eval.stage import build, make_tasks
from pretrain.runner import InlineRunner
from pretrain.stage import StageContext
from pretrain.store import LocalStore
from tests.document_artifact import make_document_artifact
from tests.eval.tiny_models import folder_artifact, make_documents, save_model, save_tokenizer

CONFIG = {
    "continuation_choice": {"num_questions": 8, "context_chars": 60, "continuation_chars": 30},
    "bits_per_byte": {"num_documents": 3},
    "batch_size": 4,
}


def context(store, inputs, progress=lambda done, total, text: None, **changes):
    return StageContext(
        stage="eval",
        config=EvalConfig.model_validate(CONFIG | changes),
        seed=0,
        inputs=inputs,
        external={},
        store=store,
        artifact_key="eval/x",
        runner=InlineRunner(),
        progress=progress,
    )


class Evaluation:
    """A store with the inputs of the stage, and what the last build reported."""

    def __init__(self, folder):
        documents = make_documents(12)
        self.store = LocalStore(folder / "store")
        split = [documents[:5], documents[5:]]
        self.inputs = {"shard": make_document_artifact(self.store, "shard", split, folder="data/validation")}
        for seed, name in enumerate(("init", "train")):
            model = folder / name
            model.mkdir()
            save_tokenizer(model, [document.text for document in documents])
            save_model(model, seed)
            self.inputs[name] = folder_artifact(self.store, name, model)
        self.stats = self.build()

    def build(self):
        self.progress = []
        self.context = context(self.store, self.inputs, lambda *report: self.progress.append(report))
        return build(self.context)

    def read(self, path):
        return self.store.read_bytes(f"eval/x/data/{path}")

    def samples(self, model, task):
        return [json.loads(line) for line in self.read(f"samples/{model}/{task}.jsonl").splitlines()]


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    return Evaluation(tmp_path_factory.mktemp("evaluation"))


def test_stats_hold_every_metric_of_every_model(evaluation):
    stats = evaluation.stats
    assert set(stats["results"]) == {"train", "init"}
    for metrics in stats["results"].values():
        assert set(metrics["continuation_choice"]) == {"acc", "acc_stderr", "acc_norm", "acc_norm_stderr"}
        assert 0 <= metrics["continuation_choice"]["acc"] <= 1
        assert metrics["bits_per_byte"]["bits_per_byte"] > 0
    assert stats["results"]["train"] != stats["results"]["init"]
    assert (stats["questions"], stats["documents"]) == (8, 3)
    assert stats["chance"] == {"continuation_choice": 0.25}
    assert stats["measured"]["device"].keys() == {"train", "init"}
    assert set(stats["measured"]["seconds"]["init"]) == {"load", "continuation_choice", "bits_per_byte"}


def test_the_report_says_what_was_evaluated_and_how(evaluation):
    report = json.loads(evaluation.read("results.json"))
    assert report["results"] == evaluation.stats["results"]
    assert report["lm_eval_version"].startswith("0.4.")
    assert report["max_length"] == {"train": 64, "init": 64}
    assert (report["batch_size"], report["num_fewshot"], report["dtype"]) == (4, 0, "float32")
    (questions,) = evaluation.context.receipts["tasks"].files
    assert questions.path == "data/tasks/continuation_choice.jsonl"
    assert report["tasks"]["continuation_choice"] == {"rows": 8, "sha256": questions.sha256, "chance": 0.25}


def test_samples_of_two_models_pair_by_question(evaluation):
    trained = evaluation.samples("train", "continuation_choice")
    baseline = evaluation.samples("init", "continuation_choice")
    questions = [json.loads(line) for line in evaluation.read("tasks/continuation_choice.jsonl").splitlines()]
    assert [row["id"] for row in trained] == [row["id"] for row in baseline] == [q["id"] for q in questions]
    assert [row["answer"] for row in trained] == [question["answer"] for question in questions]
    assert [row["correct"] for row in trained] == [row["chosen"] == row["answer"] for row in trained]
    accuracy = evaluation.stats["results"]["train"]["continuation_choice"]["acc"]
    assert sum(row["correct"] for row in trained) / 8 == accuracy


def test_progress_runs_from_the_first_task_to_the_last(evaluation):
    done, total, texts = zip(*evaluation.progress, strict=True)
    assert list(done) == sorted(done)
    assert (set(total), done[-1]) == ({4}, 4)
    assert texts[0] == "loading lm-evaluation-harness"
    assert {"train continuation_choice: 0 sequences", "init bits_per_byte: 0 sequences"} <= set(texts)
    assert [text for text in texts if text.endswith(": scored")] == ["train: scored", "init: scored"]


def test_only_a_model_whose_scores_are_lost_is_scored_again_to_the_same_bytes(evaluation):
    assert evaluation.build() == evaluation.stats
    assert evaluation.progress == []

    # `init` was the second model of its process, and is alone now.
    paths = [f"samples/init/{task}.jsonl" for task in ("continuation_choice", "bits_per_byte")]
    first = [evaluation.read(path) for path in paths]
    evaluation.store.delete(f"eval/x/data/{paths[1]}")
    assert evaluation.build()["results"] == evaluation.stats["results"]
    assert [evaluation.read(path) for path in paths] == first
    assert not [text for _, _, text in evaluation.progress if text.startswith("train")]


def test_a_limit_shortens_every_task_before_anything_is_scored(tmp_path):
    store = LocalStore(tmp_path)
    shard = make_document_artifact(store, "shard", [make_documents(9)], folder="data/validation")
    tasks = make_tasks(context(store, {"shard": shard}, limit=2))
    assert [(task.name, len(task.rows)) for task in tasks] == [
        ("continuation_choice", 2),
        ("bits_per_byte", 2),
    ]


def test_an_empty_validation_split_is_a_clear_error(tmp_path):
    store = LocalStore(tmp_path)
    shard = make_document_artifact(store, "shard", [[]], folder="data/validation")
    with pytest.raises(StageError, match="from 0 validation documents"):
        build(context(store, {"shard": shard}))


@pytest.mark.parametrize(("setting", "expected"), [("3", {3}), ("0", range(1, 4097)), ("4,2", range(1, 4097))])
def test_threads_are_those_of_the_environment_or_the_usable_cores(setting, expected, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", setting)
    assert num_threads() in expected
