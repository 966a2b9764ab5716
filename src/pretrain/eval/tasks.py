"""A task as data: its rows, and the lm-evaluation-harness config that says how to score them.

Rows go to the harness as parquet, never as JSON: its JSON reader guesses types, and a text that looks like a
date comes out as one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from pretrain.fingerprint import canonical_json


@dataclass(frozen=True)
class EvalTask:
    """One task, the same for every model.

    Attributes:
        name: its name in results and in the recipe.
        harness: keys of the harness's task YAML, without those that say where the rows are.
        columns: the schema of a row; `id` names the document or row that it was made from.
        rows: what is scored, in order.
        fewshot: solved examples that are shown and never scored.
        chance: expected accuracy of guessing, None where that means nothing.
        holds: what a row is.
    """

    name: str
    harness: dict[str, Any]
    columns: pa.Schema
    rows: Sequence[dict[str, Any]]
    fewshot: Sequence[dict[str, Any]] = ()
    chance: float | None = None
    holds: Literal["questions", "documents"] = "questions"

    def to_jsonl(self) -> bytes:
        """The rows, one canonical JSON object a line."""
        return "".join(canonical_json(row) + "\n" for row in self.rows).encode()

    @property
    def sha256(self) -> str:
        """64 hex digits over `to_jsonl`: scores of equal hash are scores of the same questions."""
        return hashlib.sha256(self.to_jsonl()).hexdigest()


def write_task(task: EvalTask, folder: Path) -> None:
    """Writes `<name>.yaml` and the parquet files that it names into `folder`, for a TaskManager to find."""
    splits = {"test": task.rows, "fewshot": task.fewshot}
    files = {}
    for split, rows in splits.items():
        if rows:
            path = folder / f"{task.name}-{split}.parquet"
            pq.write_table(pa.Table.from_pylist(list(rows), schema=task.columns), path)
            files[split] = str(path)
    config: dict[str, Any] = {
        "task": task.name,
        "dataset_path": "parquet",
        "dataset_kwargs": {"data_files": files},
        "test_split": "test",
        "num_fewshot": len(task.fewshot),
        "metadata": {"version": 1},
        **task.harness,
    }
    if task.fewshot:
        config["fewshot_config"] = {"split": "fewshot", "sampler": "first_n"}
    (folder / f"{task.name}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def stable_key(seed: int, *names: str) -> int:
    """A number in [0, 2^64) that depends on the arguments alone: what decides every random choice here."""
    text = "\0".join((str(seed), *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
