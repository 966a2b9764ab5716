"""What a finished training leaves: its model, those of checkpoints that stay, and texts. All of it plain files.

data/                   the trained model with its tokenizer
models/step-000100/     the model of a checkpoint that stays
metrics/train.jsonl     the rows of the record
samples/train.jsonl     texts of the model in training
samples/final.jsonl     texts of the trained model
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from pretrain.errors import DamagedArtifactError
from pretrain.sampling import stream_text
from pretrain.train.checkpoints import CheckpointFolder, find_problem, is_optimizer_shard
from pretrain.train.job import TrainJob
from pretrain.train.processes import is_main
from pretrain.train.record import TrainingRecord
from pretrain.train.sampling import TEMPERATURE, TOP_K, sample_rows
from pretrain.train.sharded_weights import write_model
from pretrain.train.sharding import is_sharded


def export(job: TrainJob, model: PreTrainedModel, record: TrainingRecord, checkpoints: CheckpointFolder) -> None:
    """Writes everything into the job's export folder. Called by all processes at once, of which the first writes.

    A model that is sharded makes the last texts as it is, by all processes together; else they come from what was
    written, as `pretrain sample` has them.

    Raises:
        DamagedArtifactError: a checkpoint that is to stay is damaged.
    """
    folder = job.export_folder / "data"
    final_samples: Iterable[dict[str, Any]]
    if is_sharded(model):
        final_samples = sample_rows(job, model) if job.config.sample_prompts else []
        write_model(model, folder)
    elif is_main():
        final_samples = _final_samples(job)
        model.save_pretrained(folder)
    if not is_main():
        return
    _add_other_files(job.init_folder, folder)
    for step in checkpoints.retention.lasting(checkpoints.steps(), record.best_step()):
        if step < record.max_steps:
            _export_checkpoint(checkpoints, step, job)
    rows = job.export_folder / "metrics" / "train.jsonl"
    rows.parent.mkdir(parents=True, exist_ok=True)
    record.write_rows(rows)
    if record.samples:
        _write_lines(job.export_folder / "samples" / "train.jsonl", record.samples)
    if job.config.sample_prompts:
        _write_lines(job.export_folder / "samples" / "final.jsonl", final_samples)


def _export_checkpoint(checkpoints: CheckpointFolder, step: int, job: TrainJob) -> None:
    source = checkpoints.path_of(step)
    problem = find_problem(source)
    if problem is not None:
        raise DamagedArtifactError(
            f"the checkpoint {source}, whose model is to be kept, cannot be read: {problem}; remove the folder "
            f"{checkpoints.folder} and run the same command again to train anew"
        )
    folder = job.export_folder / "models" / source.name
    folder.mkdir(parents=True)
    for file in sorted(source.iterdir()):
        if _is_weights(file):
            shutil.copyfile(file, folder / file.name)
    for name in ("config.json", "generation_config.json"):  # those of the trained model: the Trainer's has no cache
        shutil.copyfile(job.export_folder / "data" / name, folder / name)
    _add_other_files(job.init_folder, folder)


def _add_other_files(init_folder: Path, folder: Path) -> None:
    for file in sorted(init_folder.iterdir()):
        if file.is_file() and not _is_weights(file) and not (folder / file.name).exists():
            shutil.copyfile(file, folder / file.name)


def _is_weights(file: Path) -> bool:
    if is_optimizer_shard(file.name):
        return False
    return file.suffix == ".safetensors" or file.name.endswith(".safetensors.index.json")


def _final_samples(job: TrainJob) -> Iterable[dict[str, Any]]:
    for prompt in job.config.sample_prompts:
        pieces = stream_text(
            job.export_folder / "data",
            prompt,
            max_new_tokens=job.config.sample_tokens,
            temperature=TEMPERATURE,
            top_k=TOP_K,
            seed=job.seed,
        )
        yield {"prompt": prompt, "text": "".join(pieces)}


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
