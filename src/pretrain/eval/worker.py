"""The evaluation of models, as a process of its own: `python -m pretrain.eval.worker job.json`.

Scores the models that the job names one after another. The scores of each are written to
`<output_folder>/<model>.json` and announced by an event `model`, so that the parent commits them at once.
"""

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pretrain.errors import PretrainError
from pretrain.store import space_errors
from pretrain.subprocesses import emit, end_with_parent, read_job

# An event a batch would be thousands a second for a tiny model.
_EVENT_INTERVAL_SECONDS = 1.0


class _Reporter:
    """Emits `scored` events: at the start of a task, then at most one a second."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._emitted_at = 0.0

    def __call__(self, task: str, sequences: int) -> None:
        now = time.monotonic()
        if sequences == 0 or now - self._emitted_at >= _EVENT_INTERVAL_SECONDS:
            self._emitted_at = now
            emit("scored", model=self._model, task=task, sequences=sequences)


def main(arguments: list[str]) -> int:
    """Scores the models of the job whose file is the first argument; the exit status.

    The job: `models` {name: folder}, `output_folder`, `threads`, and what `scoring.score` reads.
    """
    end_with_parent()
    job = read_job(arguments)
    emit("started")
    try:
        with space_errors("scoring models in the temporary folder", job["output_folder"]):
            _score_all(job)
    except PretrainError as error:
        emit("failed", error=type(error).__name__, message=str(error))
        return 1
    return 0


def _score_all(job: Mapping[str, Any]) -> None:
    started = time.monotonic()
    import torch

    from pretrain.eval.scoring import score

    torch.set_num_threads(job["threads"])
    seconds = {"import": time.monotonic() - started}
    for model, folder in job["models"].items():
        scores = score(Path(folder), job, _Reporter(model))
        scores["seconds"] |= seconds
        (Path(job["output_folder"]) / f"{model}.json").write_text(json.dumps(scores), encoding="utf-8")
        emit("model", model=model)
        seconds = {}  # paid once, by the first


if __name__ == "__main__":
    os._exit(main(sys.argv))  # at once: tearing down torch takes time, and all files are closed and events flushed
