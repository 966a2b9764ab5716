"""Trains in a process of its own, shows its progress, and commits the trained model.

data/                   a plain Hugging Face folder: config, weights, tokenizer
metrics/train.jsonl     one row every few steps
samples/final.jsonl     what the trained model makes of `sample_prompts`
checkpoints/            while training; removed when the model is committed
"""

import contextlib
import functools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pretrain import errors
from pretrain.artifact import Artifact
from pretrain.errors import InputError, StageError, SubprocessError, UsageError
from pretrain.filehash import cache_dir
from pretrain.modeling.flops import training_flops_per_token
from pretrain.modeling.folders import CONFIG, read_json_object
from pretrain.modeling.shape import ModelShape
from pretrain.runner import num_usable_cores
from pretrain.sequences import SequenceIndex, TokenSequences, read_index, read_token_bytes
from pretrain.stage import StageContext, Stats, UnitFiles
from pretrain.store import Store
from pretrain.subprocesses import run_job
from pretrain.train.checkpoints import CheckpointFolder
from pretrain.train.config import TrainConfig
from pretrain.train.copies import CheckpointCopies
from pretrain.train.job import TrainJob

# Longer than any step, compilation or validation should take; the child writes a line at least after each.
SILENCE_SECONDS = 1800.0


def build(context: StageContext[TrainConfig]) -> Stats:
    """The trained model.

    Returns:
        `steps, tokens, loss_first, loss_final, validation_loss_first, validation_loss, bits_per_byte_first,
        bits_per_byte, parameters` (losses in nats per token), and under `measured` what a clock says.

    Raises:
        InputError: the packed data and the model do not fit together, or there is no training sequence.
        SubprocessError: training failed; the same command resumes from the newest complete checkpoint.
    """
    receipt = context.run_here("train", functools.partial(_train, context))
    context.store.delete(_checkpoints_key(context))
    if not context.store.is_local:
        shutil.rmtree(_work_folder(context.store, context.artifact_key), ignore_errors=True)
    return dict(receipt.stats)


def num_threads() -> int:
    """Compute threads of the training process: `OMP_NUM_THREADS`, or every usable core.

    Raises:
        UsageError: the variable holds no positive number.
    """
    value = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if not value:
        return num_usable_cores()
    if not value.isdigit() or int(value) == 0:
        raise UsageError(f"OMP_NUM_THREADS is {value!r}; set it to a positive number, or unset it for every core")
    return int(value)


def _train(context: StageContext[TrainConfig], files: UnitFiles) -> Stats:
    index = read_index(context.inputs["pack"])
    init_folder = context.inputs["init"].open_folder()
    shape = ModelShape.from_config(read_json_object(init_folder / CONFIG))
    _require_fit(index, shape)
    checkpoints = CheckpointFolder(_local_folder(context), context.config.keep_checkpoints)
    with checkpoints.private() as scratch, _copies(context, checkpoints, scratch) as copies:
        job = TrainJob(
            config=context.config,
            seed=context.seed,
            pack_folder=_open_pack(context.inputs["pack"]),
            init_folder=init_folder,
            checkpoint_folder=checkpoints.folder,
            scratch_folder=scratch,
            export_folder=scratch / "export",
            num_threads=num_threads(),
            flops_per_token=training_flops_per_token(shape, index.sequence_length),
        )
        stats = _Listener(context, copies).run(job)
        _commit(files, job.export_folder)
    return stats


class _Listener:
    """Runs the child, and turns what it says into progress, copies and errors."""

    def __init__(self, context: StageContext[TrainConfig], copies: CheckpointCopies | None) -> None:
        self.context = context
        self.copies = copies
        self.stats: Stats | None = None
        self.failure: errors.PretrainError | None = None

    def run(self, job: TrainJob) -> Stats:
        """The stats of the finished job."""
        environment = {"OMP_NUM_THREADS": str(job.num_threads)}
        try:
            run_job(
                "pretrain.train.worker",
                job.model_dump(mode="json"),
                job.scratch_folder,
                self.hear,
                environment=environment,
                silence_seconds=SILENCE_SECONDS,
            )
        except SubprocessError as error:
            raise self.failure or error from None
        if self.stats is None:
            raise SubprocessError("the training process ended well and told no result: run the same command again")
        return self.stats

    def hear(self, event: dict[str, Any]) -> None:
        """One event of the child."""
        total = self.context.config.max_steps
        match event["event"]:
            case "started":
                text = f"resuming after step {event['step']}/{total}" if event["step"] else f"step 0/{total}"
                self.context.progress(event["step"], total, text)
            case "step":
                self.context.progress(event["step"], total, _step_text(event, total))
            case "validation":
                text = (
                    f"step {event['step']}/{total} validation loss {event['validation_loss']:.3f} "
                    f"({event['bits_per_byte']:.3f} bits per byte)"
                )
                self.context.progress(event["step"], total, text)
            case "checkpoint" if self.copies is not None:
                self.copies.copy(event["step"])
            case "finished":
                self.stats = event["stats"]
            case "failed":
                self.failure = getattr(errors, event["error"], StageError)(event["message"])


def _step_text(event: dict[str, Any], total: int) -> str:
    rate = event["tokens_per_second"]
    speed = "" if rate is None else f" {rate / 1000:.1f}k tokens/s" if rate >= 1000 else f" {rate:.0f} tokens/s"
    return f"step {event['step']}/{total} loss {event['loss']:.3f}{speed}"


def _require_fit(index: SequenceIndex, shape: ModelShape) -> None:
    if index.splits["train"].sequences == 0:
        raise InputError(
            f"there is no training sequence of {index.sequence_length} tokens: lower pack.sequence_length or "
            f"add documents (the training split has {index.splits['train'].tokens} tokens)"
        )
    if index.sequence_length > shape.max_position_embeddings:
        raise InputError(
            f"pack.sequence_length is {index.sequence_length}, but the model takes at most "
            f"{shape.max_position_embeddings} tokens (max_position_embeddings)"
        )
    if index.vocab_size > shape.vocab_size:
        raise InputError(
            f"the packed data has token ids up to {index.vocab_size - 1}, but the model's vocabulary has "
            f"{shape.vocab_size}: it was made for another tokenizer"
        )


def _open_pack(pack: Artifact) -> Path:
    """The local folder of the pack artifact, with all that training reads of it checked."""
    for split in ("train", "validation"):
        TokenSequences.from_artifact(pack, split)
    read_token_bytes(pack)
    return pack.open_part("data/index.json").parents[1]


def _commit(files: UnitFiles, export: Path) -> None:
    for source in sorted(path for path in export.rglob("*") if path.is_file()):
        with files.create(source.relative_to(export).as_posix()) as output:
            shutil.move(source, output.path)
            if source.suffix == ".jsonl":
                output.rows = output.path.read_bytes().count(b"\n")


def _checkpoints_key(context: StageContext[TrainConfig]) -> str:
    return f"{context.artifact_key}/checkpoints"


def _work_folder(store: Store, artifact_key: str) -> Path:
    return cache_dir() / "work" / store.url.replace("://", "/") / artifact_key


def _local_folder(context: StageContext[TrainConfig]) -> Path:
    if context.store.is_local:
        return context.store.local_file(_checkpoints_key(context))
    return _work_folder(context.store, context.artifact_key) / "checkpoints"


@contextlib.contextmanager
def _copies(
    context: StageContext[TrainConfig], checkpoints: CheckpointFolder, scratch: Path
) -> Iterator[CheckpointCopies | None]:
    if context.store.is_local:
        yield None
        return
    with CheckpointCopies(context.store, _checkpoints_key(context), checkpoints, scratch) as copies:
        copies.fetch_newest()
        yield copies
