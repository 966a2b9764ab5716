"""`pretrain run RECIPE`: the DAG from the first stage that is not in the store to the last one wanted.

This module owns the command's options, progress and summary; what executes the DAG is handed in, so that the library
does not depend on an orchestrator.
"""

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pretrain.cli.common import (
    DEFAULT_STORE,
    JsonOption,
    SetOption,
    StoreOption,
    print_error,
    print_json,
)
from pretrain.cli.progress import shown_progress
from pretrain.cli.summary import print_summary
from pretrain.errors import PretrainError, StageError
from pretrain.planning import PlannedStage, make_plan
from pretrain.runs import RunError, RunRecord, describe_end, load_run, new_run, resume_command, save_run
from pretrain.spec import RunSpec
from pretrain.store import open_store

# Executes a spec; told the plan, from which it sees whether every stage is in the store already.
Execute = Callable[[RunSpec, Sequence[PlannedStage]], None]


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
        spec = RunSpec(
            recipe=str(recipe),
            store=store,
            overrides=overrides or [],
            until=until,
            refresh=refresh or [],
            workers=workers,
        )
        _run(spec, execute, as_json)

    return run_command


def _run(spec: RunSpec, execute: Execute, as_json: bool) -> None:
    record: RunRecord | None = None
    error: PretrainError | None = None
    try:
        spec = spec.resolved()
        record = new_run(spec)
        spec = spec.model_copy(update={"run_id": record.run_id})
        _execute(spec, execute)
        record = load_run(open_store(spec.store), record.run_id)
    except PretrainError as raised:
        error = raised
        reason = RunError(stage=error.stage, message=str(error), resume=resume_command(spec))
        if record is not None:
            record = _ended(spec, record.model_copy(update={"state": "failed", "error": reason}))
            error.stage = (record.error or reason).stage
        print_error(error)
    if as_json:
        print_json(_as_json(spec, record, error))
    elif record is not None:
        print_summary(spec, record)
    if error is not None:
        raise typer.Exit(error.exit_code)


def _execute(spec: RunSpec, execute: Execute) -> None:
    try:
        plan = make_plan(spec.pipeline(), spec.until, spec.refresh)
        save_run(open_store(spec.store), new_run(spec))  # a store that refuses to be written says so at once
        with shown_progress(len(plan)):
            execute(spec, plan)
    except PretrainError:
        raise
    except KeyboardInterrupt as stopped:
        raise StageError(describe_end(stopped)) from stopped
    except Exception as fault:  # programs read the JSON also after a fault of ours
        traceback.print_exc()
        raise StageError(f"{type(fault).__name__}: {fault} (a fault of pretrain; see the traceback above)") from fault


def _as_json(spec: RunSpec, record: RunRecord | None, error: PretrainError | None) -> dict[str, Any]:
    if record is not None:
        return record.model_dump(mode="json", include={"run_id", "store", "state", "seconds", "stages", "error"})
    reason = RunError(stage=None, message=str(error), resume=resume_command(spec))  # no run began
    failed: dict[str, Any] = {"run_id": None, "store": spec.store, "state": "failed", "seconds": 0.0, "stages": []}
    return {**failed, "error": reason.model_dump()}


def _ended(spec: RunSpec, failed: RunRecord) -> RunRecord:
    """The record that the flow left of a failed run; where it did not begin, `failed`, which is then written."""
    try:
        store = open_store(spec.store)
        recorded = load_run(store, failed.run_id)
        if recorded.state != "running":
            return recorded if recorded.state == "failed" else failed
        save_run(store, failed.model_copy(update={"planned": recorded.planned}))
    except PretrainError:  # the store failed the run, or never got so far
        pass
    return failed
