"""Tasks in files through the stage and the harness, against plain torch. One child process scores them all."""

import json
import math
import statistics

import pytest

from pretrain.eval.config import EvalConfig
from pretrain.eval.inputs import external_inputs
from pretrain.eval.stage import build
from pretrain.external import Surroundings
from pretrain.filehash import FileHashes
from pretrain.runner import InlineRunner
from pretrain.stage import StageContext
from pretrain.store import LocalStore
from tests.document_artifact import make_document_artifact
from tests.eval.tiny_models import MAX_LENGTH, PlainScorer, folder_artifact, make_documents, save_model, save_tokenizer
from tests.task_files.file_tasks import write_rows

QUIZ = [
    {"q": "the river reads", "c": ["a token", "the small night", "Größe"], "a": 0},
    {"q": "a model learns", "c": ["data", "open shard 你好"], "a": 1},
    {"q": "open", "c": ["the stream reads data", "night", "model", "a"], "a": 3},
    {"q": "small data", "c": ["shard", "river"], "a": 0},
    {"q": "night", "c": ["a small river", "token data"], "a": 1},
]
PAIRS = [
    {"good": "the model learns.", "bad": "the model learn."},
    {"good": "a b c d e f g h i j k l m n o p q r s t u v w x y z " * 2, "bad": "data"},
]
GAPS = [
    {"s": "the model and the shard as the _ reads data.", "o": ["model", "shard"], "a": "1"},
    {"s": "_ learns a token", "o": ["night", "a small river", "data"], "a": "3"},
]
# of the second target, the tiny model's first choice at every token
STORIES = [{"text": "the small model reads a token"}, {"text": "the reads dat"}, {"text": "open,\n\nnight stream"}]
CHOICE = {"kind": "multiple_choice", "choices": "c", "answer": "a"}
TASKS = [
    {"name": "quiz", "path": "quiz.jsonl", "prompt": "Q: {q}\nA:", "num_fewshot": 1, **CHOICE},
    {"name": "pairs", "path": "pairs.jsonl", "prompt": "", "delimiter": "", **CHOICE}
    | {"choices": ["good", "bad"], "answer": 0},
    {"name": "gaps", "path": "gaps.jsonl", "prompt": "{s}", "blank": "_", **CHOICE}
    | {"choices": "o", "labels": ["1", "2", "3"]},
    {"name": "stories", "path": "stories.jsonl", "kind": "continuation", "prompt": "{text}", "num_fewshot": 1}
    | {"fewshot_path": "shown.jsonl"},
]


class Scored:
    """The artifact of one build, and the reference."""

    def __init__(self, folder):
        for name, rows in (("quiz", QUIZ), ("pairs", PAIRS), ("gaps", GAPS), ("stories", STORIES)):
            write_rows(folder / f"{name}.jsonl", rows)
        write_rows(folder / "shown.jsonl", [{"text": "a river"}, {"text": "not shown"}])
        self.store = LocalStore(folder / "store")
        documents = make_documents(12)
        model = folder / "model"
        model.mkdir()
        save_tokenizer(model, [document.text for document in documents])
        save_model(model, seed=1)
        self.plainly = PlainScorer(model)
        config = EvalConfig.model_validate({"tasks": TASKS, "baselines": [], "batch_size": 4})
        external = external_inputs(config, Surroundings(folder, self.store, FileHashes()))
        inputs = {
            "shard": make_document_artifact(self.store, "shard", [[]], folder="data/validation"),
            "train": folder_artifact(self.store, "train", model),
        }
        self.stats = build(
            StageContext(
                stage="eval",
                config=config,
                seed=0,
                inputs=inputs,
                external={each.name: each for each in external},
                store=self.store,
                artifact_key="eval/x",
                runner=InlineRunner(),
                progress=lambda done, total, text: None,
            )
        )
        self.metrics = self.stats["results"]["train"]

    def lines(self, path):
        return [json.loads(line) for line in self.store.read_bytes(f"eval/x/data/{path}").splitlines()]

    def questions(self, task):
        return self.lines(f"tasks/{task}.jsonl")

    def samples(self, task):
        return self.lines(f"samples/train/{task}.jsonl")


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    return Scored(tmp_path_factory.mktemp("scored"))


def best(values):
    return values.index(max(values))


def mean(values):
    return sum(values) / len(values)


def test_choices_score_as_plain_torch_does_after_a_solved_question(scored):
    questions, samples = scored.questions("quiz"), scored.samples("quiz")
    [shown] = [row for number, row in enumerate(QUIZ) if str(number) not in {row["id"] for row in questions}]
    example = f"Q: {shown['q']}\nA: {shown['c'][shown['a']]}\n\n"
    right, right_norm, right_bytes = [], [], []
    for question, sample in zip(questions, samples, strict=True):
        row = QUIZ[int(question["id"])]
        assert (question["context"], question["choices"]) == (f"Q: {row['q']}\nA:", row["c"])
        assert question["answer"] == sample["answer"] == row["a"]
        logprobs = [scored.plainly.continuation(example + question["context"], " " + choice) for choice in row["c"]]
        assert sample["logprobs"] == pytest.approx(logprobs, abs=1e-3)
        assert sample["chosen"] == best(logprobs)
        right.append(best(logprobs) == row["a"])
        right_norm.append(best([value / len(text) for value, text in zip(logprobs, row["c"], strict=True)]) == row["a"])
        by_bytes = [value / len(text.encode()) for value, text in zip(logprobs, row["c"], strict=True)]
        right_bytes.append(best(by_bytes) == row["a"])
    assert [sample["correct"] for sample in samples] == right
    assert [sample["correct_norm"] for sample in samples] == right_norm
    assert [sample["correct_bytes"] for sample in samples] == right_bytes
    metrics = scored.metrics["quiz"]
    assert (metrics["acc"], metrics["acc_norm"], metrics["acc_bytes"]) == tuple(
        map(mean, (right, right_norm, right_bytes))
    )
    assert metrics["acc_stderr"] == pytest.approx(math.sqrt(mean(right) * (1 - mean(right)) / 3))


def test_an_empty_prompt_begins_as_a_document_and_a_choice_too_long_is_scored_as_far_as_it_goes(scored):
    plainly = scored.plainly
    for sample, row in zip(scored.samples("pairs"), PAIRS, strict=True):
        seen = [plainly.tokenizer.decode(plainly.ids(text)[:MAX_LENGTH]) for text in (row["good"], row["bad"])]
        assert sample["logprobs"] == pytest.approx([plainly.continuation("", text) for text in seen], abs=1e-3)
    assert len(scored.plainly.ids(PAIRS[1]["good"])) > MAX_LENGTH
    assert scored.stats["measured"]["truncated_sequences"]["train"]["pairs"] == 1


def test_a_gap_is_filled_with_each_choice_and_what_follows_is_scored(scored):
    before, after = "the model and the shard as the ", " reads data."
    first, second = scored.samples("gaps")
    expected = [scored.plainly.continuation(before + choice, after) for choice in ("model", "shard")]
    assert first["logprobs"] == pytest.approx(expected, abs=1e-3)
    expected = [scored.plainly.continuation(choice, " learns a token") for choice in GAPS[1]["o"]]
    assert second["logprobs"] == pytest.approx(expected, abs=1e-3)
    assert (first["answer"], second["answer"]) == (0, 2)
    right = [sample["chosen"] == sample["answer"] for sample in (first, second)]
    assert set(scored.metrics["gaps"]) == {"acc", "acc_stderr"}
    assert scored.metrics["gaps"]["acc"] == mean(right)


def test_the_last_word_scores_as_plain_torch_does(scored):
    example = "a river\n\n"
    pairs = [("the small model reads a", " token"), ("the reads", " dat"), ("open,\n\nnight", " stream")]
    logprobs = [scored.plainly.continuation(example + context, target) for context, target in pairs]
    samples = scored.samples("stories")
    assert [sample["logprob"] for sample in samples] == pytest.approx(logprobs, abs=1e-3)
    metrics = scored.metrics["stories"]
    assert metrics["perplexity"] == pytest.approx(math.exp(-mean(logprobs)), rel=1e-3)
    error = statistics.stdev(logprobs) / math.sqrt(3)
    assert metrics["perplexity_stderr"] == pytest.approx(metrics["perplexity"] * error, rel=1e-2)
    greedy = [scored.plainly.is_greedy(example + context, target) for context, target in pairs]
    assert [sample["correct"] for sample in samples] == greedy
    assert metrics["acc"] == mean(greedy) > 0
    assert set(samples[0]) == {"id", "correct", "logprob"}


def test_stats_and_report_name_what_was_scored(scored):
    assert (scored.stats["questions"], scored.stats["documents"]) == (4 + 2 + 2 + 3, 0)
    assert scored.stats["chance"] == {
        "quiz": pytest.approx(mean([1 / len(question["choices"]) for question in scored.questions("quiz")])),
        "pairs": 0.5,
        "gaps": pytest.approx((1 / 2 + 1 / 3) / 2),
    }
    report = json.loads(scored.store.read_bytes("eval/x/data/results.json"))
    assert report["num_fewshot_by_task"] == {"quiz": 1, "pairs": 0, "gaps": 0, "stories": 1}
    assert report["tasks"]["stories"]["rows"] == 3
    assert report["results"] == scored.stats["results"]
    assert scored.questions("stories")[0] == {"id": "0", "context": "the small model reads a", "target": " token"}
