"""One training from its job to the exported model, in a process of its own. Imports torch."""

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PrinterCallback

from pretrain.errors import PretrainError, StoreFullError
from pretrain.modeling.folders import load_model
from pretrain.modeling.hardware import peak_flops_per_second
from pretrain.sampling import stream_text
from pretrain.sequences import TokenSequences, read_token_bytes
from pretrain.stage import Stats
from pretrain.subprocesses import emit
from pretrain.train.callbacks import CheckpointSealer, Recorder
from pretrain.train.checkpoints import Checkpoint, CheckpointFolder
from pretrain.train.job import TrainJob
from pretrain.train.record import TrainingRecord
from pretrain.train.samples import OrderedSamples, collate
from pretrain.train.throughput import StepClock
from pretrain.train.trainer import ObservedTrainer, training_arguments
from pretrain.train.validation import Validation

METRICS_PATH = "metrics/train.jsonl"
SAMPLES_PATH = "samples/final.jsonl"


def train(job: TrainJob, started: float) -> Stats:
    """Trains, from the newest complete checkpoint where there is one, and exports.

    Args:
        job: the training.
        started: `time.monotonic()` when the process began.

    Returns:
        The stage's stats, with what a clock measured under `measured`.

    Raises:
        StageError: the loss or a gradient is not finite.
        StoreFullError: there is no space for a checkpoint.
    """
    torch.set_num_threads(job.num_threads)
    config = job.config
    sequences = TokenSequences.from_folder(job.pack_folder, "train")
    samples = OrderedSamples(sequences, job.seed, config.max_steps * config.global_batch_size)
    checkpoints = CheckpointFolder(job.checkpoint_folder, config.keep_checkpoints)
    checkpoint = checkpoints.newest()
    record = _record(job, checkpoint, sequences.sequence_length)
    clock = StepClock(record.tokens_per_step)
    model = _load(job)
    use_cache = model.config.use_cache
    trainer = ObservedTrainer(
        model=model,
        args=training_arguments(config, job.seed, str(job.scratch_folder / "trainer")),
        train_dataset=samples,
        data_collator=collate,
    )
    trainer.remove_callback(PrinterCallback)  # stdout is for events
    recorder = Recorder(trainer, samples, record, _validation(job), config.eval_every_steps, clock)
    trainer.add_callback(recorder)
    trainer.add_callback(CheckpointSealer(checkpoints, record, clock))
    emit("started", step=checkpoint.step if checkpoint else 0)
    with full_disk_named(job.checkpoint_folder, needed_bytes=12 * model.num_parameters()):
        trainer.train(resume_from_checkpoint=str(checkpoint.path) if checkpoint else None)

    model.config.use_cache = use_cache  # the Trainer switches it off for good
    export(model, job.init_folder, job.export_folder / "data")
    metrics = job.export_folder / METRICS_PATH
    metrics.parent.mkdir(parents=True, exist_ok=True)
    record.write_rows(metrics)
    if config.sample_prompts:
        _write_samples(job)
    measured = _measured(job, clock, recorder.first_step_ended, started)
    return {**record.stats(), "parameters": model.num_parameters(), "measured": measured}


def export(model: PreTrainedModel, init_folder: Path, folder: Path) -> None:
    """Writes the model as a plain Hugging Face folder, with the other files of `init_folder` beside it."""
    model.save_pretrained(folder)
    for file in sorted(init_folder.iterdir()):
        is_of_model = file.suffix == ".safetensors" or file.name.endswith(".safetensors.index.json")
        if file.is_file() and not is_of_model and not (folder / file.name).exists():
            shutil.copyfile(file, folder / file.name)


def _write_samples(job: TrainJob) -> None:
    path = job.export_folder / SAMPLES_PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for prompt in job.config.sample_prompts:
            pieces = stream_text(
                job.export_folder / "data",
                prompt,
                max_new_tokens=job.config.sample_tokens,
                temperature=0.7,
                top_k=50,
                seed=job.seed,
            )
            file.write(json.dumps({"prompt": prompt, "text": "".join(pieces)}, ensure_ascii=False) + "\n")


def _load(job: TrainJob) -> PreTrainedModel:
    # float32 whatever the folder holds: bf16 weights would lose updates smaller than 1/256 of a weight.
    model = load_model(job.init_folder, "float32")
    if job.config.gradient_checkpointing:
        # Under its name of transformers 5.23, or the one before.
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    return model


@contextlib.contextmanager
def full_disk_named(folder: Path, needed_bytes: int) -> Iterator[None]:
    """Says that the disk is full; torch and safetensors raise each another error, without a number."""
    try:
        yield
    except PretrainError:
        raise
    except Exception as error:
        free_bytes = shutil.disk_usage(folder).free
        if free_bytes < needed_bytes:
            raise StoreFullError(
                f"no space left for a checkpoint in {folder}: it takes {needed_bytes / 1e6:.1f} MB and "
                f"{free_bytes / 1e6:.1f} MB are free ({error}); free some space, then run the same command to resume"
            ) from error
        raise


def _record(job: TrainJob, checkpoint: Checkpoint | None, sequence_length: int) -> TrainingRecord:
    if checkpoint is not None:
        return TrainingRecord.load(checkpoint.record)
    return TrainingRecord(
        max_steps=job.config.max_steps,
        log_every_steps=job.config.log_every_steps,
        tokens_per_step=job.config.global_batch_size * sequence_length,
    )


def _validation(job: TrainJob) -> Validation | None:
    sequences = TokenSequences.from_folder(job.pack_folder, "validation")
    num_sequences = min(job.config.max_eval_sequences, len(sequences))
    if num_sequences == 0:
        return None
    return Validation(sequences, read_token_bytes(job.pack_folder), num_sequences, job.config.per_device_batch_size)


def _measured(job: TrainJob, clock: StepClock, first_step_ended: float | None, started: float) -> dict[str, Any]:
    is_cuda = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if is_cuda else "cpu"
    rate, peak = clock.tokens_per_second, peak_flops_per_second(device)
    mfu = rate * job.flops_per_token / peak if rate and peak and job.flops_per_token else None
    return {
        "tokens_per_second": rate,
        "mfu": round(mfu, 4) if mfu is not None else None,
        "seconds_to_first_step": round(first_step_ended - started, 2) if first_step_ended else None,
        "training_seconds": round(time.monotonic() - started, 2),
        "peak_memory_bytes": torch.cuda.max_memory_allocated() if is_cuda else None,
        "device": device,
        "num_threads": torch.get_num_threads(),
    }
