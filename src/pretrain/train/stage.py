"""Trains in a process of its own, shows its progress, and commits the trained model.

data/                   a plain Hugging Face folder: config, weights, tokenizer
models/step-000100/     the same of steps that `keep_every_steps` or `keep_best` keeps
metrics/train.jsonl     one row every few steps
samples/train.jsonl     what the model in training makes of `sample_prompts`
samples/final.jsonl     what the trained model makes of them
checkpoints/            while training; removed when the model is committed
"""

import contextlib
import functools
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from pretrain.artifact import Artifact
from pretrain.errors import InputError
from pretrain.filehash import cache_dir
from pretrain.fingerprint import canonical_json
from pretrain.modeling.flops import training_flops_per_token
from pretrain.modeling.folders import CONFIG, read_json_object
from pretrain.modeling.shape import ModelShape
from pretrain.sequences import SequenceIndex, TokenSequences, read_index, read_token_bytes
from pretrain.stage import StageContext, Stats, UnitFiles
from pretrain.store import Store
from pretrain.train.attended import attended_tokens
from pretrain.train.checkpoints import CheckpointFolder, Retention
from pretrain.train.config import TrainConfig
from pretrain.train.copies import CheckpointCopies
from pretrain.train.horizon import horizon
from pretrain.train.job import TrainJob
from pretrain.train.listening import Listener
from pretrain.train.surroundings import Surroundings, read_surroundings


def build(context: StageContext[TrainConfig]) -> Stats:
    """The trained model.

    Returns:
        `steps, tokens, loss_first, loss_final, validation_loss_first, validation_loss, bits_per_byte_first,
        bits_per_byte, parameters, global_batch_tokens, gradient_accumulation_steps` (losses in nats per token), and
        under `measured` what a clock says.

    Raises:
        InputError: the packed data and the model do not fit together, or there is no training sequence.
        RecipeError: the batch does not divide as the recipe and the number of processes have it.
        SubprocessError: training failed; the same command resumes from the newest complete checkpoint.
    """
    receipt = context.run_here("train", functools.partial(_train, context))
    context.store.delete(_checkpoints_key(context))
    if not context.store.is_local:
        shutil.rmtree(_work_folder(context.store, context.artifact_key), ignore_errors=True)
    return dict(receipt.stats)


def _train(context: StageContext[TrainConfig], files: UnitFiles) -> Stats:
    index = read_index(context.inputs["pack"])
    _require_fit(index, _shape(context))
    surroundings = read_surroundings()
    surroundings.require_trainable(context.config)
    steps = horizon(context.config, index.sequence_length)
    steps.accumulation_steps(surroundings.num_processes)
    checkpoints = CheckpointFolder(_local_folder(context), Retention.of(context.config))
    with checkpoints.private() as scratch, _copies(context, checkpoints, scratch) as copies:
        job = make_job(context, checkpoints.folder, scratch, surroundings)
        stats = Listener(context.progress, steps.steps, copies).run(job, surroundings.silence_seconds)
        _commit(files, job.export_folder)
    return stats


def make_job(
    context: StageContext[TrainConfig], checkpoint_folder: Path, scratch: Path, surroundings: Surroundings
) -> TrainJob:
    """What the training process is told.

    Args:
        context: of the stage.
        checkpoint_folder: where complete checkpoints are.
        scratch: a private folder on the same file system.
        surroundings: of this process.

    Raises:
        DamagedArtifactError: an input differs from its manifest.
    """
    pack, init = context.inputs["pack"], context.inputs["init"]
    pack_folder = _open_pack(pack)
    attended = attended_tokens(TokenSequences.from_folder(pack_folder, "train"))
    return TrainJob(
        config=context.config,
        seed=context.seed,
        inputs={"pack": _content(pack), "init": _content(init)},
        pack_folder=pack_folder,
        init_folder=init.open_folder(),
        checkpoint_folder=checkpoint_folder,
        scratch_folder=scratch,
        export_folder=scratch / "export",
        num_threads=surroundings.num_threads,
        num_processes=surroundings.num_processes,
        sharding=surroundings.sharding,
        num_loader_workers=surroundings.num_loader_workers,
        allows_changed_resume=surroundings.allows_changed_resume,
        tensorboard_folder=surroundings.tensorboard_folder(context.artifact_key),
        flops_per_token=training_flops_per_token(_shape(context), attended),
    )


def _shape(context: StageContext[TrainConfig]) -> ModelShape:
    return ModelShape.from_config(read_json_object(context.inputs["init"].open_folder() / CONFIG))


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


def _content(artifact: Artifact) -> str:
    """What identifies the bytes of an artifact."""
    hashes = canonical_json({part.path: part.sha256 for part in artifact.manifest.parts})
    return hashlib.sha256(hashes.encode()).hexdigest()[:32]


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
