"""Scores models in a process of its own, and commits each as soon as it is scored.

One process serves all models, because its imports take as long as scoring a small model. One unit a model: a
model that was scored before a kill is not scored again.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pretrain import errors
from pretrain.errors import StageError, SubprocessError
from pretrain.eval.config import EvalConfig
from pretrain.eval.tasks import EvalTask, write_task
from pretrain.fingerprint import canonical_json
from pretrain.runner import num_usable_cores
from pretrain.spinning import spin_environment
from pretrain.stage import StageContext, Stats, UnitFiles
from pretrain.subprocesses import job_folder, run_job

# Imports and the load of a model on a busy machine took up to 70 s; while it scores it reports every second.
SILENCE_SECONDS = 900.0


@dataclasses.dataclass(frozen=True)
class ModelScores:
    """The scores of models on tasks.

    Attributes:
        context: of the stage; `inputs` holds each model's folder under its name.
        tasks: what the models are scored on.
        models: names, in the order of scoring.
    """

    context: StageContext[EvalConfig]
    tasks: Sequence[EvalTask]
    models: Sequence[str]

    def compute(self) -> dict[str, Stats]:
        """What `pretrain.eval.scoring.score` returns, without samples, by model.

        Raises:
            SubprocessError: the process failed; models that it had scored are kept.
        """
        done = {model: self.context.completed(_unit(model)) for model in self.models}
        pending = [model for model, receipt in done.items() if receipt is None]
        if pending:
            model_folders = {model: str(self.context.inputs[model].open_folder()) for model in pending}
            with job_folder() as folder:
                self._score(model_folders, folder)
        return {model: self._scores(model) for model in self.models}

    def _scores(self, model: str) -> Stats:
        receipt = self.context.completed(_unit(model))
        if receipt is None:
            raise SubprocessError(f"the evaluation ended well without scores of {model}: run the same command again")
        return receipt.stats

    def _score(self, model_folders: Mapping[str, str], folder: Path) -> None:
        task_folder = folder / "tasks"
        task_folder.mkdir()
        for task in self.tasks:
            write_task(task, task_folder)
        config = self.context.config
        threads = num_threads()
        job = {
            "models": dict(model_folders),
            "output_folder": str(folder),
            "threads": threads,
            "task_folder": str(task_folder),
            "tasks": [task.name for task in self.tasks],
            "seed": self.context.seed,
            "batch_size": config.batch_size,
            "max_length": config.max_length,
            "dtype": config.dtype,
        }
        run_job(
            "pretrain.eval.worker",
            job,
            folder,
            partial(self._hear, folder),
            environment=_environment(folder, threads),
            silence_seconds=SILENCE_SECONDS,
        )

    def _hear(self, folder: Path, event: dict[str, Any]) -> None:
        num_tasks = len(self.tasks)
        total = len(self.models) * num_tasks
        if event["event"] == "started":
            self.context.progress(0, total, "loading lm-evaluation-harness")
            return
        if event["event"] == "failed":
            raise getattr(errors, event["error"], StageError)(event["message"])
        model = event["model"]
        done = self.models.index(model) * num_tasks
        if event["event"] == "scored":
            task = [task.name for task in self.tasks].index(event["task"])
            text = f"{model} {event['task']}: {event['sequences']} sequences"
            self.context.progress(done + task, total, text)
        elif event["event"] == "model":
            scores = json.loads((folder / f"{model}.json").read_text(encoding="utf-8"))
            self.context.run_here(_unit(model), partial(_write_samples, model, scores))
            self.context.progress(done + num_tasks, total, f"{model}: scored")


def _unit(model: str) -> str:
    return f"model-{model}"


def _write_samples(model: str, scores: dict[str, Any], files: UnitFiles) -> Stats:
    for task, samples in scores["samples"].items():
        with files.create(f"data/samples/{model}/{task}.jsonl") as output:
            output.path.write_bytes("".join(canonical_json(sample) + "\n" for sample in samples).encode())
            output.rows = len(samples)
    return {name: value for name, value in scores.items() if name != "samples"}


def num_threads() -> int:
    """Compute threads of the evaluation: OMP_NUM_THREADS where set, else the cores this process may use."""
    setting = os.environ.get("OMP_NUM_THREADS", "")
    return int(setting) if setting.isdigit() and int(setting) else num_usable_cores()


def _environment(folder: Path, threads: int) -> dict[str, str]:
    """No network, nothing left behind outside `folder`, no progress bars in the log."""
    return {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(folder / "huggingface"),
        "HF_DATASETS_CACHE": str(folder / "datasets"),
        "HF_MODULES_CACHE": str(folder / "modules"),
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        # The harness switches its bars on by argument, which overrules TQDM_DISABLE but not a long delay.
        "TQDM_DELAY": "1000000000",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": str(threads),
        **spin_environment(threads),
    }
