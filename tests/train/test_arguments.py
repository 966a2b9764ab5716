"""What the Trainer is told of loading, precision and processes."""

import pytest
import torch

from pretrain.train import trainer
from pretrain.train.horizon import horizon
from pretrain.train.trainer import training_arguments
from tests.train.killing import prepared
from tests.train.tiny_training import SEQUENCE_LENGTH, context_in


def arguments_of(folder, config=None, **surroundings):
    context = context_in(folder, **(config or {}))
    with prepared(context, **surroundings) as job:
        return training_arguments(job, horizon(context.config, SEQUENCE_LENGTH))


@pytest.mark.parametrize(("num_workers", "ahead"), [(0, None), (1, 16), (3, 6), (16, 2)])
def test_loader_workers_read_the_micro_batches_of_a_step_ahead_between_them(tmp_path, num_workers, ahead):
    arguments = arguments_of(tmp_path, {"gradient_accumulation_steps": 16}, num_loader_workers=num_workers)
    assert arguments.dataloader_prefetch_factor == ahead


def test_on_a_cpu_nothing_is_copied_ahead_or_pinned(tmp_path):
    arguments = arguments_of(tmp_path)
    assert (arguments.dataloader_pin_memory, arguments.accelerator_config.non_blocking) == (False, False)


@pytest.mark.parametrize(("bf16", "tf32"), [(False, False), (True, None)])
def test_on_a_gpu_float32_is_not_tf32_and_batches_are_copied_ahead(tmp_path, monkeypatch, bf16, tf32):
    """The Trainer's own class wants a GPU to be made with these; what it is asked for is seen before."""
    asked = {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(trainer, "TrainingArguments", lambda **options: asked.update(options))
    arguments_of(tmp_path, {"bf16": bf16, "compile": True})
    assert (asked["tf32"], asked["use_cpu"]) == (tf32, False)
    assert (asked["dataloader_pin_memory"], asked["accelerator_config"]) == (True, {"non_blocking": True})
