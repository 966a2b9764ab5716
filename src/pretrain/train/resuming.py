"""Where a training goes on, and whether that is its own checkpoint."""

from typing import Any

from pretrain.errors import StageError, UsageError
from pretrain.subprocesses import emit
from pretrain.train.checkpoints import Checkpoint, CheckpointFolder, find_problem
from pretrain.train.horizon import Horizon
from pretrain.train.job import TrainJob
from pretrain.train.record import TrainingRecord
from pretrain.train.samples import sample_at
from pretrain.train.surroundings import ALLOW_VARIABLE


def newest_whole(checkpoints: CheckpointFolder) -> Checkpoint | None:
    """The newest checkpoint that is whole, None where there is none at all; the parent is told of those passed over.

    Raises:
        StageError: there are some, and all are damaged: a start from the beginning is for people to decide.
    """
    found = checkpoints.newest()
    later = [checkpoints.path_of(step) for step in checkpoints.steps() if found is None or step > found.step]
    # Another process at the same training may have removed or made some of them meanwhile.
    problems = [f"{path}: {problem}" for path in later if (problem := find_problem(path)) and path.exists()]
    if found is None and problems:
        raise StageError(
            f"no checkpoint of this training is whole, so that it cannot go on: {'; '.join(problems)}. "
            f"Restore one, or remove {checkpoints.folder} to train from the beginning"
        )
    for problem in problems:
        emit("notice", message=f"a damaged checkpoint is passed over, {problem}")
    return found


def record_of(job: TrainJob, horizon: Horizon, checkpoint: Checkpoint | None) -> TrainingRecord:
    """The record that training goes on with: a new one, or the checkpoint's.

    Raises:
        UsageError: the checkpoint was made with another config, seed or data, and the job does not allow that.
    """
    identity = {
        **job.identity(),
        "steps": horizon.steps,
        "global_batch_size": horizon.global_batch_size,
        "sequence_length": horizon.sequence_length,
    }
    if checkpoint is None:
        return TrainingRecord(horizon.steps, job.config.log_every_steps, horizon.tokens_per_step, identity)
    record = TrainingRecord.load(checkpoint.record)
    changed = _changes(record.identity, identity)
    if changed:
        if not job.allows_changed_resume:
            raise UsageError(_describe(checkpoint, changed))
        _change(record, checkpoint.step, horizon, identity, changed)
        record.log_every_steps = job.config.log_every_steps
    return record


def _changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, list[Any]]:
    keys = sorted(old.keys() | new.keys())
    return {key: [old.get(key), new.get(key)] for key in keys if old.get(key) != new.get(key)}


def _change(
    record: TrainingRecord, step: int, horizon: Horizon, identity: dict[str, Any], changed: dict[str, list[Any]]
) -> None:
    """Makes the record go on with another identity: from the next sample on, whatever the batch was."""
    sample = sample_at(step * record.identity["global_batch_size"], record.shifts)
    first = step * horizon.global_batch_size
    record.tokens_before = (step, record.tokens_at(step))
    record.shifts = [[first, sample - first]] if sample != first else []
    record.changes.append({"step": step, "changed": changed})
    record.max_steps, record.tokens_per_step, record.identity = horizon.steps, horizon.tokens_per_step, identity


def _describe(checkpoint: Checkpoint, changed: dict[str, list[Any]]) -> str:
    what = "; ".join(f"{key}: {old!r} then, {new!r} here" for key, (old, new) in changed.items())
    return (
        f"the checkpoint {checkpoint.path} was made by another training, and going on from it would be neither: "
        f"{what}. Train in another folder, remove this one, or set {ALLOW_VARIABLE}=1 to go on all the same; the stats "
        "say so then"
    )
