"""Stage `eval`: the trained model and its baselines, scored on the same tasks made from the validation split.

    shard validation parts, train and baseline model folders
      -> data/results.json                     every metric of every model, and what identifies the tasks
         data/tasks/continuation_choice.jsonl  the questions
         data/samples/<model>/<task>.jsonl     the score of every question, for paired comparison

Scores are bit-identical on one machine with one number of threads; the questions are the same everywhere.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import version
from typing import Any

from pretrain.artifact import Artifact
from pretrain.documents import Document, read_documents
from pretrain.eval.bits_per_byte import bits_per_byte
from pretrain.eval.config import EvalConfig
from pretrain.eval.continuation_choice import continuation_choice
from pretrain.eval.models import ModelScores
from pretrain.eval.tasks import EvalTask
from pretrain.fingerprint import canonical_json
from pretrain.stage import StageContext, Stats, UnitFiles

MakeTask = Callable[[Iterable[Document], EvalConfig, int], EvalTask]

TASKS: dict[str, MakeTask] = {"continuation_choice": continuation_choice, "bits_per_byte": bits_per_byte}


def build(context: StageContext[EvalConfig]) -> Stats:
    """Evaluates `context.inputs["train"]` and the baselines on `context.inputs["shard"]`.

    Returns:
        `results` {model: {task: {metric: value or None}}}, `questions` (of continuation_choice), `documents`
        (of bits_per_byte), `chance` {task: accuracy of guessing}; `measured`: `seconds`, `device` by model.

    Raises:
        StageError: the validation split is too small for a task.
        SubprocessError: the evaluation of a model failed.
    """
    tasks = make_tasks(context)
    context.run_here("tasks", partial(_write_questions, tasks))
    scores = ModelScores(context, tasks, ("train", *context.config.baselines)).compute()
    results = {model: stats["metrics"] for model, stats in scores.items()}
    report = {
        "lm_eval_version": version("lm_eval"),
        "num_fewshot": context.config.num_fewshot,
        "batch_size": context.config.batch_size,
        "dtype": context.config.dtype,
        "max_length": {model: stats["max_length"] for model, stats in scores.items()},
        "tasks": {task.name: {"rows": len(task.rows), "sha256": task.sha256, "chance": task.chance} for task in tasks},
        "results": results,
    }
    # Named by content: a model that is scored anew on another machine may differ in the last bits.
    digest = hashlib.sha256(canonical_json(report).encode()).hexdigest()[:16]
    context.run_here(f"results-{digest}", partial(_write_report, report))
    return {
        "results": results,
        "questions": sum(len(task.rows) for task in tasks if task.chance is not None),
        "documents": sum(len(task.rows) for task in tasks if task.chance is None),
        "chance": {task.name: task.chance for task in tasks if task.chance is not None},
        "measured": {
            "seconds": {model: stats["seconds"] for model, stats in scores.items()},
            "device": {model: stats["device"] for model, stats in scores.items()},
        },
    }


def make_tasks(context: StageContext[EvalConfig]) -> list[EvalTask]:
    """The tasks of the recipe, from the validation documents; the same for every model.

    Raises:
        StageError: the validation split is too small for a task.
    """
    config = context.config
    made = [TASKS[name](_validation_documents(context.inputs["shard"]), config, context.seed) for name in config.tasks]
    return [dataclasses.replace(task, rows=task.rows[: config.limit]) for task in made]


def _validation_documents(shard: Artifact) -> Iterator[Document]:
    for part in shard.parts("data/validation/"):
        yield from read_documents(shard.open_part(part))


def _write_questions(tasks: list[EvalTask], files: UnitFiles) -> Stats:
    for task in tasks:
        if task.chance is not None:
            with files.create(f"data/tasks/{task.name}.jsonl") as output:
                output.path.write_bytes(task.to_jsonl())
                output.rows = len(task.rows)
    return {}


def _write_report(report: dict[str, Any], files: UnitFiles) -> Stats:
    with files.create("data/results.json") as output:
        output.path.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return {}
