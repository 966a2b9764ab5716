"""A training process that says nothing more is ended, and a retry goes on from its last checkpoint."""

import dataclasses
import os
import signal
from pathlib import Path

import pytest

from pretrain.errors import SubprocessError
from pretrain.train.stage import build
from tests.train.killing import checkpoints_of
from tests.train.test_resume import assert_same_artifact
from tests.train.tiny_training import context_in, train


@pytest.mark.slow
def test_a_hung_child_is_killed_and_a_retry_is_exact(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("PRETRAIN_TRAIN_SILENCE_SECONDS", "20")  # it starts and imports without a word
    context = context_in(tmp_path)

    def hang_the_child_at_step_15(done, total, text):
        if done == 15:
            for child in children():
                os.kill(child, signal.SIGSTOP)

    with pytest.raises(SubprocessError, match="without a sign of life; the same command resumes") as hung:
        build(dataclasses.replace(context, progress=hang_the_child_at_step_15))
    assert type(hung.value) is SubprocessError  # which a Prefect task tries again
    assert checkpoints_of(context).newest().step >= 12
    assert_same_artifact(trained, train(context).context)


def children():
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        yield from map(int, (task / "children").read_text().split())
