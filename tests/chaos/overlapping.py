"""`python -m tests.chaos.overlapping RECIPE STORE SEED NUM_RUNS [UNTIL]`: runs of recipes that share first stages.

Prints one JSON object: how many stages were built and found, and which artifacts were gone while a run still had them.
"""

import json
import random
import sys
from collections import Counter
from pathlib import Path

from pretrain.artifact import Artifact, find_damage
from pretrain.dag import node, stages_of
from pretrain.filehash import FileHashes
from pretrain.planning import make_plan
from pretrain.runner import InlineRunner
from pretrain.runs import recorded_run
from pretrain.spec import RunSpec

OVERRIDES = ([], ["filter.rules.0.min_long_lines=4"], ["language.keep.en=0.1"], ["shard.parts=3"])
LAST = "tokenizer"


def run(recipe: str, store: str, overrides: list[str], counts: Counter[str], until: str = LAST) -> list[str]:
    """One run; returns what was missing of its artifacts before it ended."""
    spec = RunSpec(recipe=recipe, store=store, overrides=overrides, until=until)
    found: dict[str, Artifact] = {}
    with recorded_run(spec) as begun:
        pipeline = begun.pipeline()
        for stage in stages_of(pipeline.recipe, until):
            inputs = {role: found[name] for role, name in node(stage).inputs(pipeline.recipe).items()}
            outcome = pipeline.obtain(stage, inputs, runner=InlineRunner(), progress=lambda *_: None)
            counts[outcome.action] += 1
            found[stage] = outcome.artifact
        lost = [f"{plan.stage}: {plan.reasons}" for plan in make_plan(pipeline, until) if plan.action != "cached"]
        for artifact in found.values():
            lost += [f"{artifact.key}/{d.path}: {d.problem}" for d in find_damage(artifact, FileHashes(), rehash=True)]
    return lost


def main() -> None:
    """Runs as often as asked, each time one of the recipes."""
    recipe, store, seed, num_runs = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    until = sys.argv[5] if len(sys.argv) > 5 else LAST
    generator = random.Random(seed)
    counts: Counter[str] = Counter()
    lost: list[str] = []
    for _ in range(num_runs):
        lost += run(str(Path(recipe)), store, generator.choice(OVERRIDES), counts, until)
    print(json.dumps({"built": counts["built"], "cached": counts["cached"], "lost": lost}))


if __name__ == "__main__":
    main()
