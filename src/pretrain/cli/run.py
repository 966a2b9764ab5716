"""`pretrain run RECIPE`: the DAG from the first stage that is not in the store to the last one wanted.

This module owns the command's options, progress and summary; what executes the DAG is handed in, so that the library
does not depend on an orchestrator.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from pretrain.cli.common import (
    DEFAULT_STORE,
    JsonOption,
    SetOption,
    StoreOption,
    errors_end_the_command,
    print_error,
    print_json,
)
from pretrain.cli.progress import shown_progress
from pretrain.cli.summary import print_summary
from pretrain.errors import PretrainError, StageError
from pretrain.planning import make_plan
from pretrain.runs import RunError, RunRecord, load_run, new_run, resume_command
from pretrain.spec import RunSpec
from pretrain.store import open_store

# Executes a spec; told whether every stage is in the store already.
Execute = Callable[[RunSpec, bool], None]


def make_run_command(execute: Execute) -> Callable[..., None]:
    """The `run` command, with `execute` to run the DAG.

    Args:
        execute: runs a resolved spec to its end and keeps its run record; raises PretrainError when a stage fails.
    """

    def run_command(
        recipe: Annotated[Path, typer.Argument(help="The recipe (YAML).")],
        overrides: SetOption = None,
        until: Annotated[str | None, typer.Option(help="Last stage wanted.")] = None,
        refresh: Annotated[list[str] | None, typer.Option(help="Build this stage although it is there.")] = None,
        workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; all cores if unset.")] = None,
        runner: Annotated[Literal["local"], typer.Option(help="Where parts are processed.")] = "local",
        store: StoreOption = DEFAULT_STORE,
        as_json: JsonOption = False,
    ) -> None:
        """Run a recipe: build what is not in the store, reuse what is."""
        with errors_end_the_command():
            spec = RunSpec(
                recipe=str(recipe),
                store=store,
                overrides=overrides or [],
                until=until,
                refresh=refresh or [],
                workers=workers,
            ).resolved()
            _run(spec, execute, as_json)

    return run_command


def _run(spec: RunSpec, execute: Execute, as_json: bool) -> None:
    record = new_run(spec)
    spec = spec.model_copy(update={"run_id": record.run_id})
    error: PretrainError | None = None
    try:
        pipeline = spec.pipeline()
        plan = make_plan(pipeline, spec.until, spec.refresh)
        with shown_progress(len(plan)):
            execute(spec, all(stage.action == "cached" for stage in plan))
        record = load_run(pipeline.store, record.run_id)
    except KeyboardInterrupt:
        error = StageError("stopped by Ctrl-C; completed parts are kept")
    except PretrainError as raised:
        error = raised
    if error is not None:
        reason = RunError(stage=error.stage, message=str(error), resume=resume_command(spec))
        failed = record.model_copy(update={"state": "failed", "error": reason})
        record = _recorded(spec, failed)
        print_error(error)
    if as_json:
        keys = {"run_id", "store", "state", "seconds", "stages", "error"}
        print_json(record.model_dump(mode="json", include=keys))
    else:
        print_summary(spec, record)
    if error is not None:
        raise typer.Exit(error.exit_code)


def _recorded(spec: RunSpec, failed: RunRecord) -> RunRecord:
    """The record that the store has of a failed run, or `failed` where the run or the store never got so far."""
    try:
        recorded = load_run(open_store(spec.store), failed.run_id)
    except PretrainError:
        return failed
    return recorded if recorded.state == "failed" else failed
