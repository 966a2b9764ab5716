"""Run records: `<store>/runs/<run-id>.json`, naming the artifact of every stage of one execution of a recipe.

A record is made by comparing the plan before the run with the store after it, so it is as true after a failure, a
kill of the flow or a retry elsewhere as after a good end.
"""

import contextlib
import datetime
import json
import secrets
import shlex
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pretrain.artifact import read_manifest
from pretrain.errors import NotInStoreError, PretrainError
from pretrain.planning import PlannedStage, make_plan
from pretrain.spec import RunSpec
from pretrain.store import Store


class StageRecord(BaseModel):
    """One stage of a run. `seconds` is the time its build took in this run, 0 when it was found."""

    model_config = ConfigDict(frozen=True)

    stage: str
    fingerprint: str
    action: Literal["cached", "built"]
    seconds: float
    stats: dict[str, Any]


class RunError(BaseModel):
    """Why a run failed, and the command that resumes it."""

    model_config = ConfigDict(frozen=True)

    stage: str | None
    message: str
    resume: str


class RunRecord(BaseModel):
    """One execution of a recipe."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    store: str
    state: Literal["running", "completed", "failed"]
    seconds: float
    stages: list[StageRecord]
    error: RunError | None = None
    started: str
    recipe_path: str
    recipe: dict[str, Any]
    overrides: list[str] = []

    def stage(self, name: str) -> StageRecord:
        """The record of a stage.

        Raises:
            NotInStoreError: the run did not get to it.
        """
        for record in self.stages:
            if record.stage == name:
                return record
        raise NotInStoreError(f"run {self.run_id} has no {name} artifact; its state is {self.state}")


def new_run(spec: RunSpec) -> RunRecord:
    """A record of a run that begins now. Its id sorts by time: `20261123-140501-demo-3fa2`."""
    spec = spec.resolved()
    now = datetime.datetime.now(datetime.UTC)
    values = spec.values or {}
    name = "".join(c if c.isalnum() else "-" for c in str(values["name"]).lower())
    return RunRecord(
        run_id=spec.run_id or f"{now:%Y%m%d-%H%M%S}-{name}-{secrets.token_hex(2)}",
        store=spec.store,
        state="running",
        seconds=0.0,
        stages=[],
        started=now.isoformat(timespec="seconds"),
        recipe_path=spec.recipe,
        recipe=values,
        overrides=spec.overrides,
    )


def finish_run(
    record: RunRecord,
    store: Store,
    before: Sequence[PlannedStage],
    seconds: float,
) -> RunRecord:
    """The record at the end: each planned stage that the store has now, cached or built since `before`."""
    stages = []
    for planned in before:
        manifest = read_manifest(store, planned.stage, planned.fingerprint)
        if manifest is None:
            continue
        is_cached = planned.action == "cached"
        stages.append(
            StageRecord(
                stage=planned.stage,
                fingerprint=planned.fingerprint,
                action="cached" if is_cached else "built",
                seconds=0.0 if is_cached else manifest.provenance.get("seconds", 0.0),
                stats=manifest.reported_stats(),
            )
        )
    update = {"state": "completed", "seconds": round(seconds, 3), "stages": stages}
    return record.model_copy(update=update)


@contextlib.contextmanager
def recorded_run(spec: RunSpec) -> Iterator[RunSpec]:
    """Keeps the record of a run around its execution; yields the spec with its run id.

    Raises:
        PretrainError: whatever the block raised, after the record says so.
    """
    spec = spec.resolved()
    record = new_run(spec)
    pipeline = spec.pipeline()
    before = make_plan(pipeline, spec.until, spec.refresh)
    save_run(pipeline.store, record)
    started = time.monotonic()
    try:
        yield spec.model_copy(update={"run_id": record.run_id})
    except BaseException as error:
        ended = finish_run(record, pipeline.store, before, time.monotonic() - started)
        with contextlib.suppress(PretrainError):  # a store that fails here has failed the run already
            save_run(pipeline.store, _failed(ended, before, spec, error))
        raise
    save_run(pipeline.store, finish_run(record, pipeline.store, before, time.monotonic() - started))


def resume_command(spec: RunSpec) -> str:
    """The command that goes on with a run; `--refresh` is left out, which would drop completed parts."""
    words = ["pretrain", "run", spec.recipe, "--store", spec.store]
    words += [word for override in spec.overrides for word in ("--set", override)]
    words += ["--until", spec.until] if spec.until else []
    return shlex.join(words)


def _failed(record: RunRecord, before: Sequence[PlannedStage], spec: RunSpec, error: BaseException) -> RunRecord:
    present = {stage.stage for stage in record.stages}
    missing = next((planned.stage for planned in before if planned.stage not in present), None)
    stage = error.stage if isinstance(error, PretrainError) else None
    message = str(error) or f"stopped by {type(error).__name__}"
    reason = RunError(stage=stage or missing, message=message, resume=resume_command(spec))
    return record.model_copy(update={"state": "failed", "error": reason})


def save_run(store: Store, record: RunRecord) -> None:
    """Writes the record to the store."""
    text = json.dumps(record.model_dump(mode="json"), ensure_ascii=False, indent=1)
    store.write_bytes(f"runs/{record.run_id}.json", text.encode())


def load_run(store: Store, run_id: str) -> RunRecord:
    """The record of a run; `latest` names the newest.

    Raises:
        NotInStoreError: there is none.
    """
    if run_id == "latest":
        ids = list_run_ids(store)
        if not ids:
            raise NotInStoreError(f"the store {store.url} has no run yet; start one with `pretrain run RECIPE`")
        run_id = ids[-1]
    try:
        return RunRecord.model_validate_json(store.read_bytes(f"runs/{run_id}.json"))
    except FileNotFoundError as error:
        known = ", ".join(list_run_ids(store)[-3:]) or "none"
        raise NotInStoreError(f"no run {run_id!r} in {store.url}; the latest are: {known}") from error
    except ValidationError as error:
        raise NotInStoreError(f"the record of run {run_id!r} in {store.url} cannot be read: {error}") from error


def list_run_ids(store: Store) -> list[str]:
    """Ids of all runs in the store, oldest first."""
    keys = store.list_sizes("runs")
    return sorted(key.removeprefix("runs/").removesuffix(".json") for key in keys if key.endswith(".json"))
