"""Runs a training process as the stage would, and kills it; or trains in this process, with callbacks of a test."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from transformers import TrainerCallback

from pretrain.stage import StageContext, Stats, UnitFiles
from pretrain.train.checkpoints import CheckpointFolder, Retention
from pretrain.train.config import TrainConfig
from pretrain.train.job import TrainJob
from pretrain.train.stage import make_job
from pretrain.train.stopping import StopRequest
from pretrain.train.surroundings import Surroundings

SURROUNDINGS = Surroundings(
    num_threads=1,
    num_processes=1,
    num_loader_workers=0,
    silence_seconds=600,
    allows_changed_resume=False,
    tensorboard_root=None,
)


def checkpoints_of(context: StageContext[TrainConfig]) -> CheckpointFolder:
    folder = context.store.local_file(f"{context.artifact_key}/checkpoints")
    return CheckpointFolder(folder, Retention.of(context.config))


@contextlib.contextmanager
def prepared(context: StageContext[TrainConfig], **surroundings: object) -> Iterator[TrainJob]:
    """A job that a process may do while the block runs."""
    checkpoints = checkpoints_of(context)
    with checkpoints.private() as scratch:
        yield make_job(context, checkpoints.folder, scratch, replace(SURROUNDINGS, **surroundings))


def train_until(
    context: StageContext[TrainConfig],
    is_time: Callable[[dict[str, Any]], bool],
    number: int = signal.SIGKILL,
    **surroundings: object,
) -> tuple[list[dict[str, Any]], int]:
    """Trains until an event for which `is_time`, sends a signal; the events, and the exit status."""
    with prepared(context, **surroundings) as job:
        path = job.scratch_folder / "job.json"
        path.write_text(job.model_dump_json())
        child = subprocess.Popen(
            [sys.executable, "-m", "pretrain.train.worker", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        events = []
        for line in child.stdout:
            events.append(json.loads(line))
            if is_time(events[-1]):
                os.killpg(child.pid, number)
                if number == signal.SIGKILL:
                    break
        child.stdout.read()
        return events, child.wait()


def train_here(
    context: StageContext[TrainConfig], callbacks: Sequence[TrainerCallback] = (), **surroundings: object
) -> Stats:
    """Trains in this process, to `files_of(context)`, without what a clock says."""
    from pretrain.train.training import train

    with prepared(context, **surroundings) as job, StopRequest() as stop:
        stats = train(job, time.monotonic(), stop, callbacks)
        return kept(context, job, stats)


def kept(context: StageContext[TrainConfig], job: TrainJob, stats: Stats) -> Stats:
    """The stats without what a clock says, with the sha256 of what was exported; that goes to `files_of(context)`."""
    files = UnitFiles(context.store, context.artifact_key)
    for source in sorted(path for path in job.export_folder.rglob("*") if path.is_file()):
        with files.create(source.relative_to(job.export_folder).as_posix()) as output:
            output.path.write_bytes(source.read_bytes())
    stats = stats | {"files": {file.path: file.sha256 for file in files.written}}
    return {name: value for name, value in stats.items() if name != "measured"}


def expected_here(trained: Any) -> Stats:
    """What `train_here` returns for a training that the stage did."""
    [receipt] = trained.context.receipts.values()
    stats = {name: value for name, value in receipt.stats.items() if name != "measured"}
    return {**stats, "files": {file.path: file.sha256 for file in receipt.files}}
