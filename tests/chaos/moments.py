"""When a chain of runs is killed: drawn from a seed, in the order of the DAG."""

import random
from typing import NamedTuple

STAGES = ["download", "filter", "dedup", "language", "shard", "tokenizer", "pack", "init", "train", "eval"]
# The kills of one chain. A stage is hit more often where it has more commits, or takes longer once it has begun.
KILLS = {"start": 1, "download": 4, "filter": 3, "dedup": 5, "language": 3, "shard": 4, "tokenizer": 3, "pack": 4} | {
    "init": 2,
    "train": 4,
    "eval": 2,
}
# What is written last of a unit and of a checkpoint, and what of a stage.
COMMITS = {"train": ["complete.json", "optimizer.pt"]}
COMMITS_OF_DATA = ["receipts/"]
LAST_COMMITS = ["manifest.json", "receipts/"]


class Moment(NamedTuple):
    """When and what to kill.

    Attributes:
        stage: the stage, or `start` for the time before the first.
        fraction: of the stage's undisturbed time (a training's from its first step on), or of its events.
        event: what an event must have in it to count; None counts seconds.
        whole_group: the driver and its workers at once; else the driver alone, as the kernel does for memory.
        is_moved: whether the next run is on another machine, with another cache.
    """

    stage: str
    fraction: float
    event: str | None
    whole_group: bool
    is_moved: bool


def moments(seed: int, kills: dict[str, int]) -> list[Moment]:
    """Moments in the order of the DAG; several of one stage go through it in steps."""
    generator = random.Random(seed)
    found = []
    for stage, number in kills.items():
        for index in range(number):
            is_last = index == number - 1  # the others must leave something to do
            fraction = generator.uniform(0, 1 if is_last else 1.3 / number)
            commit = generator.choice(LAST_COMMITS if is_last else COMMITS.get(stage, COMMITS_OF_DATA))
            weights = [1, 2, 2] if stage != "train" else [3, 1, 3]
            event = generator.choices([None, "", commit], weights)[0] if stage != "start" else None
            whole_group = generator.random() < 0.8
            found.append(Moment(stage, fraction, event, whole_group, is_moved=generator.random() < 0.15))
    return found
