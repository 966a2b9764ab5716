"""Stage `eval`: the trained model and its baselines, scored on the same tasks: of the validation split and of files.

    shard validation parts, evaluation files, train and baseline model folders
      -> data/results.json                     every metric of every model, and what identifies the tasks
         data/tasks/<task>.jsonl               the questions
         data/samples/<model>/<task>.jsonl     the score of every question, for paired comparison

Scores are bit-identical on one machine with one number of threads; the questions are the same everywhere.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

from pretrain.artifact import Artifact
from pretrain.documents import Document, read_documents
from pretrain.eval.bits_per_byte import bits_per_byte
from pretrain.eval.config import EvalConfig, EvalTaskConfig
from pretrain.eval.continuation_choice import continuation_choice
from pretrain.eval.file_task import file_task
from pretrain.eval.models import ModelScores
from pretrain.eval.tasks import EvalTask
from pretrain.fingerprint import canonical_json
from pretrain.stage import StageContext, Stats, UnitFiles

MakeTask = Callable[[Iterable[Document], EvalConfig, int], EvalTask]

TASKS: dict[str, MakeTask] = {"continuation_choice": continuation_choice, "bits_per_byte": bits_per_byte}


def build(context: StageContext[EvalConfig]) -> Stats:
    """Evaluates `context.inputs["train"]` and the baselines on `context.inputs["shard"]`.

    Returns:
        `results` {model: {task: {metric: value or None}}}, `questions` (of continuation_choice and tasks in
        files), `documents` (of bits_per_byte), `chance` {task: accuracy of guessing}; `measured`: `seconds`, `device`
        and `truncated_sequences` (that are longer than the model sees, by task) by model.

    Raises:
        StageError: the validation split is too small for a task.
        InputError: an evaluation file is not what its task says.
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
        **_file_report(tasks, context.config),
        "results": results,
    }
    # Named by content: a model that is scored anew on another machine may differ in the last bits.
    digest = hashlib.sha256(canonical_json(report).encode()).hexdigest()[:16]
    context.run_here(f"results-{digest}", partial(_write_report, report))
    return {
        "results": results,
        "questions": sum(len(task.rows) for task in tasks if task.holds == "questions"),
        "documents": sum(len(task.rows) for task in tasks if task.holds == "documents"),
        "chance": {task.name: task.chance for task in tasks if task.chance is not None},
        "measured": {
            "seconds": {model: stats["seconds"] for model, stats in scores.items()},
            "device": {model: stats["device"] for model, stats in scores.items()},
            "truncated_sequences": {model: stats.get("truncated", {}) for model, stats in scores.items()},
        },
    }


def make_tasks(context: StageContext[EvalConfig]) -> list[EvalTask]:
    """The tasks of the recipe, from the validation documents and the files; the same for every model.

    Raises:
        StageError: the validation split is too small for a task.
        InputError: an evaluation file is not what its task says.
    """
    return [_make_task(task, context) for task in context.config.tasks]


def _make_task(task: EvalTaskConfig, context: StageContext[EvalConfig]) -> EvalTask:
    if not isinstance(task, str):
        return file_task(task, context.external, context.config, context.seed)
    made = TASKS[task](_validation_documents(context.inputs["shard"]), context.config, context.seed)
    return dataclasses.replace(made, rows=made.rows[: context.config.limit])


def _file_report(tasks: Sequence[EvalTask], config: EvalConfig) -> dict[str, Any]:
    """Solved questions shown in each task of a file."""
    names = {task.name for task in config.file_tasks}
    shown = {task.name: len(task.fewshot) for task in tasks if task.name in names}
    return {"num_fewshot_by_task": shown} if shown else {}


def _validation_documents(shard: Artifact) -> Iterator[Document]:
    for part in shard.parts("data/validation/"):
        yield from read_documents(shard.open_part(part))


def _write_questions(tasks: list[EvalTask], files: UnitFiles) -> Stats:
    for task in tasks:
        if task.holds == "questions":
            with files.create(f"data/tasks/{task.name}.jsonl") as output:
                output.path.write_bytes(task.to_jsonl())
                output.rows = len(task.rows)
    return {}


def _write_report(report: dict[str, Any], files: UnitFiles) -> Stats:
    with files.create("data/results.json") as output:
        output.path.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return {}
