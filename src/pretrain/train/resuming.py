"""Where a training goes on, and whether that is its own checkpoint."""

from typing import Any

from pretrain.errors import UsageError
from pretrain.train.checkpoints import Checkpoint
from pretrain.train.horizon import Horizon
from pretrain.train.job import TrainJob
from pretrain.train.record import TrainingRecord
from pretrain.train.samples import sample_at
from pretrain.train.surroundings import ALLOW_VARIABLE


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
