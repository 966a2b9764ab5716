"""Several processes that share each step, by torchrun with gloo: the same training as in one."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from pretrain.errors import RecipeError
from pretrain.store import LocalStore
from pretrain.train.stage import build
from tests.train.killing import checkpoints_of, train_here, train_until
from tests.train.tiny_training import make_context, make_init, make_pack

pytestmark = pytest.mark.slow


def context_in(folder, *, is_tied=False, **config):
    """No dropout: each process draws its own, so that only without it the sum over processes is the same."""
    store = LocalStore(folder)
    init = make_init(store, attention_dropout=0.0, tie_word_embeddings=is_tied)
    return make_context(store, make_pack(store), init, log_every_steps=1, **config)


def rows_of(context):
    lines = context.store.local_file("train/x/metrics/train.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def assert_same_losses(context, reference, tolerance=1e-6):
    differences = []
    for row, expected in zip(rows_of(context), rows_of(reference), strict=True):
        assert row.keys() == expected.keys() and row["step"] == expected["step"]
        differences += [abs(row[name] - expected[name]) for name in ("loss", "validation_loss") if name in row]
    print(f"largest difference of a loss: {max(differences):.2e}")
    assert max(differences) < tolerance


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    context = context_in(tmp_path_factory.mktemp("alone"))
    train_here(context)
    return context


def test_two_processes_train_as_one(alone, tmp_path, monkeypatch):
    monkeypatch.setenv("PRETRAIN_NUM_PROCESSES", "2")
    context = context_in(tmp_path)
    stats = build(context)
    assert (stats["measured"]["num_processes"], stats["gradient_accumulation_steps"]) == (2, 2)
    assert_same_losses(context, alone)


def test_a_resume_goes_from_one_process_to_two_and_back(alone, tmp_path, monkeypatch):
    context = context_in(tmp_path)
    _, status = train_until(context, lambda event: event.get("step") == 10, signal.SIGTERM)
    assert status == 75
    first = checkpoints_of(context).newest().step
    events, _ = train_until(context, lambda event: event.get("step") == 20, signal.SIGTERM, num_processes=2)
    assert events[0] == {"event": "started", "step": first}
    assert events[1]["message"].startswith("the checkpoint was made by 1 processes, and 2 go on")
    assert events[-1]["event"] == "stopped" and events[-1]["step"] == checkpoints_of(context).newest().step
    build(context)
    assert_same_losses(context, alone)


def test_a_kill_of_torchrun_leaves_no_process(tmp_path):
    context = context_in(tmp_path)
    train_until(context, lambda event: event.get("step") == 5, signal.SIGKILL, num_processes=2)
    deadline = time.monotonic() + 20
    while any(str(tmp_path) in " ".join(command) for command in commands()):
        assert time.monotonic() < deadline, "a training process outlived torchrun"
        time.sleep(0.1)
    assert checkpoints_of(context).newest().step >= 4


def commands():
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int(entry.name) != os.getpid():
                yield (entry / "cmdline").read_text().split("\0")
        except OSError:
            continue


def test_processes_that_cannot_share_a_step_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PRETRAIN_NUM_PROCESSES", "3")
    with pytest.raises(RecipeError, match=r"a step has 4 sequences, which 3 processes"):
        build(context_in(tmp_path))
