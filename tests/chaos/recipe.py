"""The recipe that runs are killed in: every stage, three source files, a checkpoint every few steps."""

import json
from pathlib import Path

from tests.tiny import prose, write_recipe

NUM_FILES = 3
MAX_STEPS = 240  # 2 s of steps


def write_chaos_recipe(folder: Path) -> Path:
    """The recipe and its corpus; returns the recipe's path."""
    path = write_recipe(
        folder,
        shard={"parts": 3, "validation_fraction": 0.1},
        train={"max_steps": MAX_STEPS, "save_every_steps": 8, "log_every_steps": 40},
    )
    texts = prose(360)
    for index in range(1, NUM_FILES):
        rows = [json.dumps({"id": f"{index}-{n}", "text": text}) for n, text in enumerate(texts[240 + index :: 2])]
        (folder / "corpus" / f"{'abc'[index]}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path
