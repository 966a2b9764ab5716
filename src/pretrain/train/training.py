"""One training from its job to the exported model, in a process of its own. Imports torch."""

import contextlib
import gc
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PrinterCallback, TrainerCallback

from pretrain.errors import PretrainError, StoreFullError, UsageError
from pretrain.modeling.folders import load_model
from pretrain.sequences import TokenSequences, read_token_bytes
from pretrain.stage import Stats
from pretrain.subprocesses import emit
from pretrain.train.attention import choose_attention
from pretrain.train.callbacks import CheckpointSealer, Recorder, StepGuard
from pretrain.train.checkpoints import Checkpoint, CheckpointFolder, Retention
from pretrain.train.export import export
from pretrain.train.horizon import horizon
from pretrain.train.job import TrainJob
from pretrain.train.outputs import without_logits
from pretrain.train.processes import is_main
from pretrain.train.record import TrainingRecord
from pretrain.train.resuming import newest_whole, record_of
from pretrain.train.samples import OrderedSamples, collate
from pretrain.train.sharded_model import load_sharded_model
from pretrain.train.spikes import RollBack
from pretrain.train.stopping import Stopped, StopRequest
from pretrain.train.surroundings import NUM_PROCESSES_VARIABLE
from pretrain.train.tensorboard import EventFiles
from pretrain.train.throughput import StepClock, device_name, mfu, peak_memory_bytes
from pretrain.train.trainer import ObservedTrainer, training_arguments
from pretrain.train.validation import Validation

_MAX_SPEEDS = 2000


def train(job: TrainJob, started: float, stop: StopRequest, callbacks: Sequence[TrainerCallback] = ()) -> Stats:
    """Trains, from the newest complete checkpoint where there is one, and exports.

    Args:
        job: the training.
        started: `time.monotonic()` when the process began.
        stop: whether this process is asked to stop.
        callbacks: of the caller's own, called after those of training.

    Returns:
        The stage's stats, with what a clock measured under `measured`.

    Raises:
        StageError: the loss or a gradient is not finite, or there are checkpoints and all are damaged.
        UsageError: the checkpoint was made with another config, seed or data.
        StoreFullError: there is no space for a checkpoint.
        Stopped: this process was asked to, and the newest checkpoint is that of the last step.
    """
    torch.set_num_threads(job.num_threads)
    _require_devices(job.num_processes)
    run = _Run(job, started, callbacks)
    checkpoint = newest_whole(run.checkpoints)
    record = record_of(job, run.horizon, checkpoint)
    while True:
        try:
            return run.go_on(checkpoint, record, stop)
        except RollBack as roll_back:
            spike = roll_back.spike
        gc.collect()  # the model and Adam's state before their successors
        abandoned = record
        checkpoint = run.checkpoints.newest(before=spike.step, multiple_of=job.config.save_every_steps)
        step = checkpoint.step if checkpoint else 0
        record = record_of(job, run.horizon, checkpoint)
        record.roll_back(abandoned, spike, step, run.horizon.global_batch_size)
        if is_main():
            run.checkpoints.discard_after(step)


class _Run:
    """What is the same from the beginning to the end of this process."""

    def __init__(self, job: TrainJob, started: float, callbacks: Sequence[TrainerCallback]) -> None:
        self.job = job
        self.started = started
        self.callbacks = callbacks
        self.sequences = TokenSequences.from_folder(job.pack_folder, "train")
        self.horizon = horizon(job.config, self.sequences.sequence_length)
        self.checkpoints = CheckpointFolder(job.checkpoint_folder, Retention.of(job.config))
        self.clock = StepClock(self.horizon.tokens_per_step)

    def go_on(self, checkpoint: Checkpoint | None, record: TrainingRecord, stop: StopRequest) -> Stats:
        """Trains from a checkpoint, or from the beginning, to the end.

        Raises:
            RollBack: the loss leapt, and another try is allowed.
        """
        job = self.job
        samples = OrderedSamples(self.sequences, job.seed, self.horizon.num_samples, record.shifts)
        arguments = training_arguments(job, self.horizon)
        model = _load(job, arguments.device)
        use_cache = model.config.use_cache
        trainer = ObservedTrainer(
            job,
            stop,
            model=model,
            args=arguments,
            train_dataset=samples,
            data_collator=collate,
        )
        choose_attention(model, self.sequences, job.config)
        trainer.remove_callback(PrinterCallback)  # stdout is for events
        guard = StepGuard(trainer, samples, record, self.horizon)
        event_files = EventFiles(job.tensorboard_folder)
        recorder = Recorder(job, guard, record, _validation(job), self.clock, event_files)
        for callback in (guard, recorder, CheckpointSealer(self.checkpoints, record, self.clock), *self.callbacks):
            trainer.add_callback(callback)
        first_step = checkpoint.step if checkpoint else 0
        if stop.is_made:
            raise Stopped(first_step)
        emit("started", step=first_step)
        if checkpoint is not None and checkpoint.num_processes != job.num_processes:
            made = f"the checkpoint was made by {checkpoint.num_processes} processes, and {job.num_processes} go on"
            emit("notice", message=f"{made}: the sequences of each step stay, but dropout draws other numbers")
        with contextlib.closing(event_files), full_disk_named(job.checkpoint_folder, 12 * model.num_parameters()):
            trainer.train(resume_from_checkpoint=str(checkpoint.path) if checkpoint else None)
        if trainer.state.global_step < self.horizon.steps:
            raise Stopped(trainer.state.global_step)
        model.config.use_cache = use_cache  # the Trainer switches it off for good
        export(job, model, record, self.checkpoints)
        return {
            **record.stats(),
            "parameters": model.num_parameters(),
            "global_batch_tokens": self.horizon.tokens_per_step,
            "gradient_accumulation_steps": self.horizon.accumulation_steps(),
            "measured": self._measured(recorder.first_step_ended) | {"speed_by_step": _thinned(record.speeds)},
        }

    def _measured(self, first_step_ended: float | None) -> dict[str, Any]:
        job, rate = self.job, self.clock.tokens_per_second
        return {
            "tokens_per_second": rate,
            "step_seconds": self.clock.step_seconds,
            "mfu": mfu(rate, job.flops_per_token, job.num_processes),
            "seconds_to_first_step": round(first_step_ended - self.started, 2) if first_step_ended else None,
            "training_seconds": round(time.monotonic() - self.started, 2),
            "peak_memory_bytes": peak_memory_bytes(),
            "device": device_name(),
            "num_processes": job.num_processes,
            "sharding": job.sharding,
            "num_threads": torch.get_num_threads(),
        }


def _thinned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Evenly spaced rows, as a manifest is read often: 2,000 are 300 KB of it."""
    return rows[:: -(-len(rows) // _MAX_SPEEDS)] if rows else rows


def _require_devices(num_processes: int) -> None:
    num_devices = torch.cuda.device_count()
    if num_processes > 1 and 0 < num_devices < num_processes:
        raise UsageError(
            f"{NUM_PROCESSES_VARIABLE} is {num_processes}, but {num_devices} GPUs are visible (CUDA_VISIBLE_DEVICES): "
            "a process takes one of its own"
        )


def _load(job: TrainJob, device: torch.device) -> PreTrainedModel:
    # float32 whatever the folder holds: bf16 weights would lose updates smaller than 1/256 of a weight.
    if job.sharding == "fsdp":
        model = load_sharded_model(job.init_folder, bf16=job.config.bf16, device=device)
    else:
        model = load_model(job.init_folder, "float32")
    if job.config.gradient_checkpointing:
        # Under its name of transformers 5.23, or the one before.
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    without_logits(model)
    return model


@contextlib.contextmanager
def full_disk_named(folder: Path, needed_bytes: int) -> Iterator[None]:
    """Says that the disk is full; torch and safetensors raise each another error, without a number."""
    try:
        yield
    except (PretrainError, RollBack):
        raise
    except Exception as error:
        free_bytes = shutil.disk_usage(folder).free
        if free_bytes < needed_bytes:
            raise StoreFullError(
                f"no space left for a checkpoint in {folder}: it takes {needed_bytes / 1e6:.1f} MB and "
                f"{free_bytes / 1e6:.1f} MB are free ({error}); free some space, then run the same command to resume"
            ) from error
        raise


def _validation(job: TrainJob) -> Validation | None:
    sequences = TokenSequences.from_folder(job.pack_folder, "validation")
    num_sequences = min(job.config.max_eval_sequences, len(sequences))
    if num_sequences == 0:
        return None
    return Validation(sequences, read_token_bytes(job.pack_folder), num_sequences, job.config.per_device_batch_size)
