"""Weights of which each process holds some rows, as one plain Hugging Face folder: nothing is gathered.

In a safetensors file the rows of a tensor follow each other, so that each process reads and writes its own in their
place. Whoever opens the folder sees no difference.
"""

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import PreTrainedModel

from pretrain.errors import InputError
from pretrain.modeling.folders import WEIGHTS, weight_files
from pretrain.modeling.safetensors_file import safetensors_header
from pretrain.train.processes import is_main, wait_for_all
from pretrain.train.sharding import own_rows, own_values, release

_BYTES_PER_ELEMENT = 4  # weights in training are float32


def read_weights(model: PreTrainedModel, folder: Path) -> None:
    """Fills the rows that this process holds from a model folder; other rows are not read.

    Raises:
        InputError: a parameter is in no file, or of another shape there.
    """
    parameters = _parameters(model)
    missing = set(parameters)
    for file in weight_files(folder):
        with safe_open(file, "pt") as tensors:
            for name in missing & set(tensors.keys()):
                _read(parameters[name], tensors.get_slice(name), f"{name} in {file}")
                missing.remove(name)
    if missing:
        raise InputError(
            f"{folder} has no {sorted(missing)[0]}: it holds {len(missing)} of {len(parameters)} weights under no or "
            "another name; load it with transformers and save_pretrained it again"
        )


def _read(parameter: torch.Tensor, stored: Any, name: str) -> None:
    if tuple(stored.get_shape()) != tuple(parameter.shape):
        raise InputError(
            f"{name} has the shape {tuple(stored.get_shape())}, and {tuple(parameter.shape)} by its config.json"
        )
    rows = own_rows(parameter)
    if len(rows):
        own_values(parameter).copy_(stored[rows.start : rows.stop])


def write_model(model: PreTrainedModel, folder: Path) -> None:
    """Writes the model as `save_pretrained` would: the same files with the same bytes. Called by all processes at once.

    Args:
        model: a sharded model.
        folder: it is made where it is absent; on a file system that all processes share.

    Raises:
        OSError: the disk failed or is full.
    """
    parameters = _parameters(model)
    shapes = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
    header = safetensors_header(shapes, "float32")
    path = folder / WEIGHTS
    if is_main():
        folder.mkdir(parents=True, exist_ok=True)
        _write_configs(model, folder)
        path.write_bytes(header)
    wait_for_all()
    with path.open("r+b") as file:
        start = len(header)
        for name in sorted(parameters):
            _write_rows(file.fileno(), parameters[name], start)
            start += parameters[name].numel() * _BYTES_PER_ELEMENT
    wait_for_all()


def _parameters(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    release(model)  # else those of the outermost group may be whole
    return dict(model.named_parameters())


def _write_rows(descriptor: int, parameter: torch.Tensor, start: int) -> None:
    rows = own_rows(parameter)
    values: Any = own_values(parameter).cpu().contiguous().flatten().view(torch.uint8).numpy()
    offset = start + rows.start * (parameter.numel() // parameter.shape[0]) * _BYTES_PER_ELEMENT
    remaining = memoryview(values)
    while remaining:  # one call writes 2 GiB at most
        written = os.pwrite(descriptor, remaining, offset)
        remaining, offset = remaining[written:], offset + written


def _write_configs(model: PreTrainedModel, folder: Path) -> None:
    # `save_pretrained` itself would gather the weights first, in a way that changes from version to version.
    model.config.dtype = "float32"
    model.config.architectures = [type(model).__name__.removeprefix("FSDP")]
    model.config.save_pretrained(folder)
    if model.can_generate() and model.generation_config is not None:
        model.generation_config.save_pretrained(folder)
