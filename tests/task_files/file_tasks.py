"""Tasks in small files, and the public evaluation files where they are."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pretrain.eval.config import EvalConfig
from pretrain.external import ExternalFile, external_file
from pretrain.filehash import FileHashes
from pretrain.task_files.question_config import AnyFileTask

EVAL = Path(os.environ.get("PRETRAIN_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "eval"
needs_public_files = pytest.mark.skipif(
    not EVAL.is_dir(), reason="needs the evaluation files: set PRETRAIN_SHARED_DATA to the folder that has eval/"
)

QUIZ = {"name": "quiz", "path": "quiz.jsonl", "kind": "multiple_choice", "prompt": "{q}", "choices": "c", "answer": "a"}
STORY = {"name": "story", "path": "story.jsonl", "kind": "continuation", "prompt": "{text}"}


def make_task(**values: Any) -> AnyFileTask:
    """One task of the recipe's `eval.tasks`."""
    [task] = EvalConfig.model_validate({"tasks": [values]}).file_tasks
    return task


def write_rows(path: Path, rows: Iterable[Any]) -> Path:
    """Rows as JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def files_of(path: Path) -> list[ExternalFile]:
    """A file as outside content."""
    return [external_file(path, path.name, FileHashes())]
