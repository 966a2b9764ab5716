"""Hugging Face's Trainer, with the figures of each step at hand before the step is taken."""

from typing import Any

import torch
from torch import nn
from transformers import Trainer, TrainingArguments

from pretrain.errors import StageError
from pretrain.train.batches import model_inputs
from pretrain.train.config import TrainConfig
from pretrain.train.record import StepFigures


class ObservedTrainer(Trainer):
    """Keeps the loss and the gradient norm of the step at work, for whoever decides whether to take it."""

    def __init__(self, **options: Any) -> None:
        self._losses: list[torch.Tensor] = []
        self._grad_norm: torch.Tensor | None = None
        super().__init__(**options)

    def create_accelerator_and_postprocess(self) -> None:
        """Has the accelerator remember the norm that it clips by; no hook of the Trainer is told it."""
        super().create_accelerator_and_postprocess()
        clip = self.accelerator.clip_grad_norm_

        def clip_and_remember(*args: Any, **options: Any) -> torch.Tensor | None:
            self._grad_norm = clip(*args, **options)
            return self._grad_norm

        self.accelerator.clip_grad_norm_ = clip_and_remember

    def training_step(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor | Any],
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Forward and backward of one micro-batch; returns its share of the step's mean loss."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        self._losses.append(loss)
        return loss

    def compute_loss(self, model: nn.Module, inputs: dict[str, torch.Tensor | Any], *args: Any, **options: Any) -> Any:
        """The loss with documents kept apart, see `model_inputs`."""
        attention = self.accelerator.unwrap_model(model).config._attn_implementation
        return super().compute_loss(model, model_inputs(inputs, attention), *args, **options)

    def take_figures(self, learning_rate: float) -> StepFigures:
        """The figures of the step whose gradients are ready, with one transfer from the device.

        Raises:
            StageError: the Trainer did not clip, so that its gradients cannot be vouched for.
        """
        if self._grad_norm is None:
            raise StageError(
                "the installed transformers takes steps without accelerate's clip_grad_norm_, so gradients "
                "go unchecked: use a version that this one names in its pyproject.toml"
            )
        norm = self._grad_norm.float()
        loss, grad_norm = torch.stack([torch.stack(self._losses).sum().to(norm.device), norm]).tolist()
        self._losses, self._grad_norm = [], None
        return StepFigures(loss=loss, grad_norm=grad_norm, learning_rate=learning_rate)


def training_arguments(config: TrainConfig, seed: int, output_dir: str) -> TrainingArguments:
    """The recipe in the Trainer's own terms. What it would log, evaluate or rotate by itself is off."""
    return TrainingArguments(
        output_dir=output_dir,
        max_steps=config.max_steps,
        per_device_train_batch_size=config.per_device_batch_size,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        learning_rate=config.learning_rate,
        lr_scheduler_type="constant_with_warmup" if config.schedule == "constant" else config.schedule,
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        optim="adamw_torch_fused",
        adam_beta1=config.adam_beta1,
        adam_beta2=config.adam_beta2,
        adam_epsilon=config.adam_epsilon,
        max_grad_norm=config.max_grad_norm,
        bf16=config.bf16,
        use_cpu=not torch.accelerator.is_available(),  # said outright, or bf16 is refused there
        torch_compile=config.compile,
        seed=seed,
        data_seed=seed,
        train_sampling_strategy="sequential",  # OrderedSamples is in order already
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        save_strategy="steps",
        save_steps=config.save_every_steps,
        save_total_limit=None,  # it removes the old before the new is known to be whole
        logging_strategy="no",
        logging_nan_inf_filter=False,  # it would log a loss of 0.0 for one that is nan
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
