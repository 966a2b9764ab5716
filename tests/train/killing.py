"""Runs a training process as the stage would, and kills it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pretrain.stage import StageContext
from pretrain.train.checkpoints import CheckpointFolder
from pretrain.train.config import TrainConfig
from pretrain.train.job import TrainJob


def train_until(context: StageContext[TrainConfig], is_time: Callable[[dict[str, Any]], bool]) -> int | None:
    """Trains until an event for which `is_time`, kills -9, and returns the step that the process began at."""
    folder = context.store.local_file(f"{context.artifact_key}/checkpoints")
    with CheckpointFolder(folder, context.config.keep_checkpoints).private() as scratch:
        path = scratch / "job.json"
        path.write_text(make_job(context, folder, scratch).model_dump_json())
        child = subprocess.Popen(
            [sys.executable, "-m", "pretrain.train.worker", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        began = None
        for line in child.stdout:
            event = json.loads(line)
            began = event["step"] if event["event"] == "started" else began
            if is_time(event):
                os.kill(child.pid, signal.SIGKILL)
                break
        child.stdout.read()
        child.wait()
    return began


def make_job(context: StageContext[TrainConfig], folder: Path, scratch: Path) -> TrainJob:
    return TrainJob(
        config=context.config,
        seed=context.seed,
        pack_folder=context.inputs["pack"].open_part("data/index.json").parents[1],
        init_folder=context.inputs["init"].open_folder(),
        checkpoint_folder=folder,
        scratch_folder=scratch,
        export_folder=scratch / "export",
        num_threads=1,
        flops_per_token=None,
    )
