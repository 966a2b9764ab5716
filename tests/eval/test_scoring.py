"""Scores of the harness against plain torch, in this process."""

import math

import datasets
import pytest

from pretrain.documents import Document
from pretrain.eval.bits_per_byte import bits_per_byte
from pretrain.eval.config import EvalConfig
from pretrain.eval.continuation_choice import continuation_choice
from pretrain.eval.scoring import plain, score, word_perplexity
from pretrain.eval.tasks import write_task
from tests.eval.tiny_models import MAX_LENGTH, PlainScorer, make_documents, save_model, save_tokenizer

CHOICE = {"context_chars": 60, "continuation_chars": 30}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_tokenizer(folder, [document.text for document in make_documents(20)])
    save_model(folder, seed=1)
    return folder


@pytest.fixture
def run(model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")

    def run(*tasks, **changes):
        folder = tmp_path / "tasks"
        folder.mkdir()
        for task in tasks:
            write_task(task, folder)
        job = {
            "task_folder": str(folder),
            "tasks": [task.name for task in tasks],
            "seed": 0,
            "batch_size": 4,
            "max_length": None,
            "dtype": "float32",
        }
        return score(model_folder, job | changes, lambda task, sequences: None)

    return run


def config(**values):
    return EvalConfig.model_validate({"continuation_choice": CHOICE, **values})


def test_choices_score_as_plain_torch_does(run, model_folder):
    task = continuation_choice(make_documents(20), config(), seed=0)
    scores = run(task)
    plainly = PlainScorer(model_folder)
    expected = [[plainly.continuation(row["context"], " " + choice) for choice in row["choices"]] for row in task.rows]
    samples = scores["samples"]["continuation_choice"]
    assert [sample["id"] for sample in samples] == [row["id"] for row in task.rows]
    for sample, logprobs in zip(samples, expected, strict=True):
        assert sample["logprobs"] == pytest.approx(logprobs, abs=1e-3)

    correct = [
        logprobs.index(max(logprobs)) == row["answer"] for row, logprobs in zip(task.rows, expected, strict=True)
    ]
    by_length = [
        [logprob / len(choice) for logprob, choice in zip(logprobs, row["choices"], strict=True)]
        for row, logprobs in zip(task.rows, expected, strict=True)
    ]
    correct_norm = [rates.index(max(rates)) == row["answer"] for row, rates in zip(task.rows, by_length, strict=True)]
    accuracy = sum(correct) / 20
    assert 0 < accuracy < 1
    assert scores["metrics"]["continuation_choice"] == {
        "acc": accuracy,
        "acc_stderr": pytest.approx(math.sqrt(accuracy * (1 - accuracy) / 19)),
        "acc_norm": sum(correct_norm) / 20,
        "acc_norm_stderr": pytest.approx(math.sqrt(sum(correct_norm) / 20 * (1 - sum(correct_norm) / 20) / 19)),
    }
    assert [sample["correct"] for sample in samples] == correct
    assert [sample["correct_norm"] for sample in samples] == correct_norm


def test_bits_per_byte_are_those_of_plain_torch_also_over_several_windows(run, model_folder):
    documents = [
        *make_documents(4),
        *make_documents(1, words=300),
        Document("f" * 32, "Größe <s> 你好", "test"),
    ]
    task = bits_per_byte(documents, config(), seed=0)
    scores = run(task)
    plainly = PlainScorer(model_folder)
    texts = [row["text"] for row in task.rows]
    assert max(len(plainly.ids(text)) for text in texts) > 2 * MAX_LENGTH
    logprobs = [plainly.document(text) for text in texts]
    num_bytes = [len(text.encode()) for text in texts]
    assert scores["metrics"]["bits_per_byte"] == {
        "bits_per_byte": pytest.approx(-sum(logprobs) / sum(num_bytes) / math.log(2), rel=1e-6),
        "bits_per_byte_stderr": None,
        "byte_perplexity": pytest.approx(math.exp(-sum(logprobs) / sum(num_bytes)), rel=1e-5),
        "byte_perplexity_stderr": None,
        "word_perplexity": pytest.approx(math.exp(-sum(logprobs) / sum(len(text.split()) for text in texts)), rel=1e-4),
        "word_perplexity_stderr": None,
    }
    for sample, row, logprob, size in zip(
        scores["samples"]["bits_per_byte"], task.rows, logprobs, num_bytes, strict=True
    ):
        assert sample == {"id": row["id"], "bytes": size, "logprob": pytest.approx(logprob, abs=1e-3)}


def test_a_solved_example_stands_before_each_question(run, model_folder):
    task = continuation_choice(make_documents(6), config(num_fewshot=1), seed=0)
    samples = run(task, max_length=128)["samples"]["continuation_choice"]
    (shown,) = task.fewshot
    example = f"{shown['context']} {shown['choices'][shown['answer']]}\n\n"
    plainly = PlainScorer(model_folder)
    for sample, row in zip(samples, task.rows, strict=True):
        expected = [plainly.continuation(example + row["context"], " " + choice) for choice in row["choices"]]
        assert sample["logprobs"] == pytest.approx(expected, abs=1e-3)


def test_a_continuation_longer_than_the_model_sees_is_scored_as_far_as_it_goes(run):
    texts = ["".join(chr(0x4E00 + 97 * i + j) for j in range(95)) for i in range(5)]
    documents = [Document(f"{i:032x}", text, "test") for i, text in enumerate(texts)]
    scores = run(continuation_choice(documents, config(), seed=0), max_length=16)
    assert scores["max_length"] == 16
    assert len(scores["samples"]["continuation_choice"]) == 5


def test_what_is_no_finite_number_becomes_null():
    assert [plain(value) for value in (0.5, 1, "N/A", math.nan, math.inf)] == [0.5, 1.0, None, None, None]


def test_word_perplexity_of_text_without_spaces_is_null_where_it_overflows():
    assert word_perplexity(-20.0, 10)["word_perplexity"] == pytest.approx(math.exp(2))
    assert word_perplexity(-8000.0, 1) == {"word_perplexity": None, "word_perplexity_stderr": None}
