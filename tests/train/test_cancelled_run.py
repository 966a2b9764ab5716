"""A whole run that is cancelled: every process ends in time, and the same command goes on from where it was."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pretrain.train.checkpoints import CheckpointFolder
from tests.tiny import write_recipe

pytestmark = pytest.mark.slow


def processes_naming(folder):
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int(entry.name) != os.getpid() and str(folder) in (entry / "cmdline").read_text():
                found.append(entry.name)
        except OSError:  # ended meanwhile
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_cancelled_run_ends_in_time_and_leaves_a_checkpoint_of_its_last_step(tmp_path, number):
    train = {"max_steps": 2000, "save_every_steps": 500, "log_every_steps": 20, "max_eval_sequences": 0}
    recipe, store = write_recipe(tmp_path, train=train), tmp_path / "store"
    command = [sys.executable, "-m", "flows.main", "run", str(recipe), "--store", str(store), "--until", "train"]
    run = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not list(store.glob("train/*/checkpoints/step-000500/complete.json")):
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    run.send_signal(number)
    run.wait(timeout=20)
    assert processes_naming(tmp_path) == []
    [folder] = store.glob("train/*/checkpoints")
    newest = CheckpointFolder(folder, 2).newest()
    assert newest.step > 500 and newest.step % 500 != 0

    ended = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    outcome = json.loads(ended.stdout)
    assert outcome["state"] == "completed"
    assert [stage["stats"]["steps"] for stage in outcome["stages"] if stage["stage"] == "train"] == [2000]
