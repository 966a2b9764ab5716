"""A task in files as the harness scores it: its questions, the solved ones before them, and the chance of guessing."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import pyarrow as pa

from pretrain.errors import InputError
from pretrain.eval.config import EvalConfig
from pretrain.eval.inputs import fewshot_input_name, input_name
from pretrain.eval.tasks import EvalTask, stable_key
from pretrain.external import ExternalInput
from pretrain.task_files.question_config import AnyFileTask, ContinuationFile
from pretrain.task_files.questions import Question, read_questions

_ID = pa.field("id", pa.string())
_TEXT = pa.large_string()
_CHOICE_COLUMNS = pa.schema(
    [_ID, pa.field("context", _TEXT), pa.field("choices", pa.list_(_TEXT)), pa.field("answer", pa.int64())]
)
_BLANK_COLUMNS = pa.schema(
    [_ID, pa.field("contexts", pa.list_(_TEXT)), pa.field("continuation", _TEXT), pa.field("answer", pa.int64())]
)
_CONTINUATION_COLUMNS = pa.schema([_ID, pa.field("context", _TEXT), pa.field("target", _TEXT)])


def _accuracy(*metrics: str) -> list[dict[str, Any]]:
    return [{"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in metrics]


def file_task(task: AnyFileTask, external: Mapping[str, ExternalInput], config: EvalConfig, seed: int) -> EvalTask:
    """The task with its questions in the order of the files.

    Raises:
        InputError: a file is not what the task says, or has too few questions to show and to score.
    """
    questions = read_questions(task, external[input_name(task.name)].files)
    num_fewshot = config.num_fewshot_of(task)
    fewshot: Sequence[Question]
    if task.fewshot_path is None:
        fewshot, questions = _split(task, questions, num_fewshot, seed)
    else:
        solved = read_questions(task, external[fewshot_input_name(task.name)].files, task.fewshot_where)
        fewshot = _first(task, solved, num_fewshot, questions)
    limit = config.limit if task.limit is None else task.limit
    rows = _limited(questions, limit, seed, task.name)
    return _harness_task(task, rows, fewshot)


def _harness_task(task: AnyFileTask, rows: Sequence[Question], fewshot: Sequence[Question]) -> EvalTask:
    if isinstance(task, ContinuationFile):
        harness = {
            "output_type": "loglikelihood",
            "doc_to_text": "context",
            "doc_to_target": "target",
            "target_delimiter": "",
            # perplexity is added by the worker: the harness overflows, and resamples its error
            "metric_list": _accuracy("acc"),
        }
        return EvalTask(task.name, harness, _CONTINUATION_COLUMNS, rows, fewshot)
    if task.blank is not None:
        harness = {
            "output_type": "multiple_choice",
            "doc_to_text": "answer",  # a number: the harness takes each choice as a context, the target after it
            "doc_to_choice": "contexts",
            "doc_to_target": "continuation",
            "target_delimiter": "",
            "metric_list": _accuracy("acc"),  # what is scored is equally long for all choices
        }
        chance = fmean(1 / len(row["contexts"]) for row in rows)
        return EvalTask(task.name, harness, _BLANK_COLUMNS, rows, fewshot, chance)
    harness = {
        "output_type": "multiple_choice",
        "doc_to_text": "context",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "target_delimiter": task.delimiter,
        "metric_list": _accuracy("acc", "acc_norm", "acc_bytes"),
    }
    chance = fmean(1 / len(row["choices"]) for row in rows)
    return EvalTask(task.name, harness, _CHOICE_COLUMNS, rows, fewshot, chance)


def _split(
    task: AnyFileTask, questions: list[Question], num_fewshot: int, seed: int
) -> tuple[Sequence[Question], list[Question]]:
    if num_fewshot >= len(questions):
        raise InputError(
            f"eval.tasks: the task {task.name} has {len(questions)} questions, too few to show {num_fewshot} and to "
            "score others: lower its num_fewshot, or give fewshot_path"
        )
    ordered = sorted(questions, key=lambda row: stable_key(seed, "fewshot", task.name, row["id"]))
    shown = ordered[:num_fewshot]
    said = [_without_id(row) for row in shown]  # a file may hold a question twice
    scored = [row for row in questions if _without_id(row) not in said]
    if not scored:
        raise InputError(
            f"eval.tasks: all questions of the task {task.name} equal those that are shown; correct the file, or give "
            "fewshot_path"
        )
    return shown, scored


def _first(
    task: AnyFileTask, solved: Sequence[Question], num_fewshot: int, questions: Sequence[Question]
) -> Sequence[Question]:
    if num_fewshot > len(solved):
        raise InputError(
            f"eval.tasks: fewshot_path of the task {task.name} has {len(solved)} questions, fewer than the "
            f"{num_fewshot} to show: lower num_fewshot"
        )
    scored = [_without_id(row) for row in questions]
    for row in solved[:num_fewshot]:
        if _without_id(row) in scored:
            raise InputError(
                f"eval.tasks: question {row['id']} of fewshot_path of the task {task.name} is also one to score: "
                "choose others by where and fewshot_where"
            )
    return solved[:num_fewshot]


def _limited(questions: list[Question], limit: int | None, seed: int, name: str) -> list[Question]:
    """At most so many questions, chosen by hash (files are often sorted by topic) and in the order of the file."""
    if limit is None or limit >= len(questions):
        return questions
    ordered = sorted(questions, key=lambda row: stable_key(seed, "limit", name, row["id"]))
    chosen = {row["id"] for row in ordered[:limit]}
    return [row for row in questions if row["id"] in chosen]


def _without_id(question: Question) -> Question:
    return {name: value for name, value in question.items() if name != "id"}
