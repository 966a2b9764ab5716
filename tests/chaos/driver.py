"""`python -m tests.chaos.driver RECIPE STORE --workers 2`: the DAG as the flow runs it, by the library alone.

Without Prefect a start costs half a second. It prints what `pretrain run` prints (`[3/10] dedup ...` when a stage
begins, `[3/10] dedup      built in 0.3 s` or `cached` when it ends), and what training says of where it resumes.
"""

import argparse
import logging
from concurrent.futures import Future, ThreadPoolExecutor

from pretrain.artifact import Artifact
from pretrain.cli.common import errors_end_the_command
from pretrain.cli.progress import shown_progress
from pretrain.dag import node, stages_of
from pretrain.leases import Watch
from pretrain.progress import LoggedProgress
from pretrain.runner import Runner
from pretrain.runs import recorded_run
from pretrain.spec import RunSpec


def main() -> None:
    """Runs a recipe; exit codes and messages are those of the command."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("recipe")
    parser.add_argument("store")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--until")
    parser.add_argument("--silence-seconds", type=float, help="after which the run of another machine counts as dead")
    chosen = parser.parse_args()
    if chosen.silence_seconds:
        Watch.__init__.__defaults__ = (chosen.silence_seconds,)
    spec = RunSpec(recipe=chosen.recipe, store=chosen.store, workers=chosen.workers, until=chosen.until).resolved()
    logging.getLogger("pretrain.progress").addHandler(logging.StreamHandler())
    with errors_end_the_command(), shown_progress(len(stages_of(spec.load(), spec.until))):
        run_dag(spec)


def run_dag(spec: RunSpec) -> None:
    """Builds what is not in the store, stage after stage, and init beside pack."""
    with recorded_run(spec) as run, run.runner() as runner, ThreadPoolExecutor(1) as branch:
        built: dict[str, Artifact] = {}
        initializing: Future[Artifact] | None = None
        stages = stages_of(run.load(), run.until)
        for stage in stages:
            if stage == "pack" and "init" in stages:
                initializing = branch.submit(obtain, run, "init", built, runner)
            if stage == "init" and initializing:
                built[stage] = initializing.result()
            else:
                built[stage] = obtain(run, stage, built, runner)


def obtain(spec: RunSpec, stage: str, built: dict[str, Artifact], runner: Runner) -> Artifact:
    """The artifact of one stage."""
    pipeline = spec.pipeline()
    inputs = {role: built[name] for role, name in node(stage).inputs(pipeline.recipe).items()}
    return pipeline.obtain(stage, inputs, runner=runner, progress=LoggedProgress(stage)).artifact


if __name__ == "__main__":
    main()
