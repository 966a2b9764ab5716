"""Run records: `<store>/runs/<run-id>.json`, naming the artifact of every stage of one execution of a recipe.

A record is made by comparing the plan before the run with the store after it, so it is as true after a failure or a
retry elsewhere as after a good end. A run that was killed with SIGKILL stays `running`.
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

from pretrain.artifact import artifact_key, read_manifest
from pretrain.dag import stages_of
from pretrain.errors import NotInStoreError, PretrainError, StageError
from pretrain.leases import leased
from pretrain.planning import PlannedStage, identify_all, make_plan
from pretrain.spec import RunSpec
from pretrain.store import Store, open_store


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
    """One execution of a recipe. `planned` are the fingerprints by stage that it set out to have."""

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
    planned: dict[str, str] = {}

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
    refreshed: Sequence[str] = (),
) -> RunRecord:
    """The record at the end: each planned stage that the store has now, built by this run or found."""
    stages = []
    for planned in before:
        manifest = planned.manifest or read_manifest(store, planned.stage, planned.fingerprint)
        if manifest is None:
            continue
        is_built_here = manifest.provenance.get("run_id") == record.run_id
        if planned.action == "build" and not is_built_here and planned.stage in refreshed:
            continue  # it was to be built again, and was not
        stages.append(
            StageRecord(
                stage=planned.stage,
                fingerprint=planned.fingerprint,
                action="built" if is_built_here else "cached",
                seconds=manifest.provenance.get("seconds", 0.0) if is_built_here else 0.0,
                stats=manifest.reported_stats(),
            )
        )
    update = {"state": "completed", "seconds": round(seconds, 3), "stages": stages}
    return record.model_copy(update=update)


@contextlib.contextmanager
def recorded_run(spec: RunSpec) -> Iterator[RunSpec]:
    """Keeps the record of a run around its execution, and its artifacts from `pretrain gc`.

    Yields the spec with its run id and what was planned.

    Raises:
        PretrainError: whatever the block raised, after the record says so.
    """
    spec = spec.resolved()
    record, pipeline = new_run(spec), spec.pipeline()
    store = pipeline.store
    planned = {identity.stage: identity.fingerprint for identity in identify_all(pipeline, spec.until)}
    record = record.model_copy(update={"planned": planned})
    with leased(store, [artifact_key(*names) for names in planned.items()], record.run_id):
        save_run(store, record)
        before = make_plan(pipeline, spec.until, spec.refresh)
        started = time.monotonic()
        try:
            yield spec.model_copy(update={"run_id": record.run_id, "planned": planned})
        except BaseException as error:
            with contextlib.suppress(PretrainError):  # a store that fails here has failed the run already
                ended = finish_run(record, store, before, time.monotonic() - started, spec.refresh)
                save_run(store, _failed(ended, before, spec, error))
            raise
        ended = finish_run(record, store, before, time.monotonic() - started, spec.refresh)
        missing = set(planned) - {stage.stage for stage in ended.stages}
        if missing:
            incomplete = StageError(f"the run ended without {', '.join(sorted(missing))}: run the same command again")
            save_run(store, _failed(ended, before, spec, incomplete))
            raise incomplete
        save_run(store, ended)


@contextlib.contextmanager
def part_of_run(spec: RunSpec, last: str) -> Iterator[RunSpec]:
    """The run that a sub-flow is part of, as it is; or, for a sub-flow that is run alone, a recorded run up to `last`.

    Args:
        spec: what to run.
        last: the last stage of the sub-flow; `spec.until` may end it before.
    """
    spec = spec.resolved()
    if spec.planned is not None:
        yield spec
        return
    until = spec.until if spec.until in stages_of(spec.load(), last) else last
    with recorded_run(spec.model_copy(update={"until": until})) as run:
        yield run


def record_cached_run(spec: RunSpec, plan: Sequence[PlannedStage]) -> None:
    """Writes the record of a run that found every stage in the store."""
    record, store = new_run(spec), open_store(spec.store)
    planned = {stage.stage: stage.fingerprint for stage in plan}
    save_run(store, finish_run(record.model_copy(update={"planned": planned}), store, plan, 0.0))


def resume_command(spec: RunSpec, begun: Sequence[str] = ()) -> str:
    """The command that goes on with a run.

    Args:
        spec: the run.
        begun: stages that it built or was building: a `--refresh` of them again would drop completed parts.
    """
    words = ["pretrain", "run", spec.recipe, "--store", spec.store]
    words += [word for override in spec.overrides for word in ("--set", override)]
    words += ["--until", spec.until] if spec.until else []
    words += ["--workers", str(spec.workers)] if spec.workers else []
    words += [word for stage in spec.refresh if stage not in begun for word in ("--refresh", stage)]
    return shlex.join(words)


def describe_end(error: BaseException) -> str:
    """What a run was ended by, in words."""
    if isinstance(error, KeyboardInterrupt):
        return "stopped by Ctrl-C; completed parts are kept"
    return str(error) or f"stopped by {type(error).__name__}"


def _failed(record: RunRecord, before: Sequence[PlannedStage], spec: RunSpec, error: BaseException) -> RunRecord:
    present = {stage.stage for stage in record.stages}
    missing = next((planned.stage for planned in before if planned.stage not in present), None)
    stage = (error.stage if isinstance(error, PretrainError) else None) or missing
    built = [entry.stage for entry in record.stages if entry.action == "built"]
    resume = resume_command(spec, [*built, stage or ""])
    reason = RunError(stage=stage, message=describe_end(error), resume=resume)
    return record.model_copy(update={"state": "failed", "error": reason})


def save_run(store: Store, record: RunRecord) -> None:
    """Writes the record to the store."""
    text = json.dumps(record.model_dump(mode="json"), ensure_ascii=False, indent=1)
    store.write_bytes(f"runs/{record.run_id}.json", text.encode())


def load_run(store: Store, run_id: str) -> RunRecord:
    """The record of a run; `latest` names the newest that has ended, if one has.

    Raises:
        NotInStoreError: there is none.
    """
    if run_id == "latest":
        ids = list_run_ids(store)
        if not ids:
            raise NotInStoreError(f"the store {store.url} has no run yet; start one with `pretrain run RECIPE`")
        ended = (one for one in reversed(ids) if load_run(store, one).state != "running")
        run_id = next(ended, ids[-1])  # a run that was killed says "running" for ever
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
