"""A training that was killed ends with the bytes of one that was not: dropout, accumulation 2, 3 epochs."""

import contextlib
import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from transformers import TrainerCallback

from pretrain.train.stage import build
from tests.train.killing import checkpoints_of, expected_here, train_here, train_until
from tests.train.tiny_training import context_in, train


def assert_same_artifact(trained, context):
    [expected], [actual] = trained.context.receipts.values(), context.receipts.values()
    assert actual.files == expected.files  # sha256 of weights, config and metrics
    stats = {name: value for name, value in actual.stats.items() if name != "measured"}
    assert stats == {name: value for name, value in expected.stats.items() if name != "measured"}


def test_a_resume_of_a_resume_past_a_damaged_checkpoint_is_exact(trained, tmp_path):
    context = context_in(tmp_path)
    events, _ = train_until(context, lambda event: event["event"] == "step" and event["step"] == 15)
    assert events[0] == {"event": "started", "step": 0}
    assert checkpoints_of(context).steps() == [8, 12]

    told = []

    def cancel_at_step_21(done, total, text):
        told.append(text)
        if done == 21:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(dataclasses.replace(context, progress=cancel_at_step_21))
    assert told[0] == "resuming after step 12/30"
    assert list(checkpoints_of(context).folder.glob(".scratch-*")) == []

    newest = checkpoints_of(context).newest()
    assert newest.step >= 21  # the step at work was finished and saved
    (newest.path / "optimizer.pt").unlink()  # the Trainer would go on with a fresh Adam
    before = checkpoints_of(context).newest()
    resumed = train(context)
    assert resumed.progress[0][2] == f"resuming after step {before.step}/30"
    assert_same_artifact(trained, resumed.context)
    speeds = resumed.stats["measured"]["speed_by_step"]  # of all processes
    assert [speed["step"] for speed in speeds] == [1, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30]


class KillInTheSaveOf(TrainerCallback):
    """Kills this process when it saves the optimizer after a step: the weights are written, and nothing else is."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, optimizer, **kwargs):
        if state.global_step == self.step:
            optimizer.optimizer.register_state_dict_pre_hook(lambda _: os.kill(os.getpid(), signal.SIGKILL))


def test_killed_in_the_middle_of_a_save_it_resumes_before_it_and_ends_the_same(trained, tmp_path):
    script = (
        "import sys; from pathlib import Path; from tests.train import test_resume as t\n"
        "t.train_here(t.context_in(Path(sys.argv[1])), [t.KillInTheSaveOf(12)], num_loader_workers=2)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.DEVNULL, check=False)
    assert killed.returncode == -signal.SIGKILL
    context = context_in(tmp_path)
    [half] = checkpoints_of(context).folder.glob(".scratch-*/trainer/checkpoint-12")
    assert (half / "model.safetensors").exists() and not (half / "optimizer.pt").exists()
    assert checkpoints_of(context).steps() == [4, 8]
    assert train_here(context, num_loader_workers=2) == expected_here(trained)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random_moments_it_still_ends_the_same(trained, tmp_path, seed, monkeypatch):
    # saving after every step, so that most kills fall into a save
    monkeypatch.setenv("PRETRAIN_LOADER_WORKERS", str(2 * (seed % 2)))
    context = context_in(tmp_path, save_every_steps=1)
    generator = random.Random(seed)
    script = (
        "import sys; from pathlib import Path; from tests.train.test_resume import build, context_in\n"
        "build(context_in(Path(sys.argv[1]), save_every_steps=1))"
    )
    for step in sorted(generator.sample(range(1, 29), 4)):
        parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
        while parent.poll() is None and max(checkpoints_of(context).steps(), default=0) < step:
            time.sleep(0.01)
        time.sleep(generator.uniform(0, 0.1))
        parent.kill()
        parent.wait()
        assert_no_child_of(tmp_path)
    resumed = train(context)
    assert resumed.progress[0][2].startswith("resuming after step")
    assert_same_artifact(trained, resumed.context)
    assert not checkpoints_of(context).folder.exists()


def assert_no_child_of(root) -> None:
    deadline = time.monotonic() + 20
    while any(str(root) in line for line in process_files()):
        assert time.monotonic() < deadline, "the training process outlived its parent"
        time.sleep(0.1)


def process_files() -> list[str]:
    """What the running processes hold open."""
    held = []
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):  # ended meanwhile
                held += [str(link.readlink()) for link in (entry / "fd").iterdir()]
    return held
