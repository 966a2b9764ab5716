"""Hugging Face's Trainer, with the figures of each step at hand before the step is taken."""

from typing import Any

import torch
from torch import nn
from transformers import Trainer, TrainingArguments

from pretrain.errors import StageError
from pretrain.train.batches import model_inputs
from pretrain.train.config import TrainConfig
from pretrain.train.horizon import Horizon
from pretrain.train.job import TrainJob
from pretrain.train.optimizers import muon_with_adamw
from pretrain.train.processes import mean_over_processes, num_processes
from pretrain.train.record import StepFigures
from pretrain.train.stopping import StopRequest


class ObservedTrainer(Trainer):
    """Keeps the loss and the gradient norm of the step at work, for whoever decides whether to take it.

    Args:
        job: the training.
        stop: what this process was asked.
        options: of the Trainer.
    """

    def __init__(self, job: TrainJob, stop: StopRequest, **options: Any) -> None:
        self.job = job
        self._stop = stop
        self._is_stop_agreed = False
        self._losses: list[torch.Tensor] = []
        self._grad_norm: torch.Tensor | None = None
        super().__init__(**options)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """The recipe's optimizer."""
        if self.optimizer is None and self.job.config.optimizer == "muon":
            trained: Any = self.model if model is None else model
            self.optimizer = muon_with_adamw(trained, self.job.config, self.get_decay_parameter_names(trained))
        return super().create_optimizer(model)

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

        Several processes agree on them here, and on whether to stop: what one decides by them, all decide.

        Raises:
            StageError: the Trainer did not clip, so that its gradients cannot be vouched for.
        """
        if self._grad_norm is None:
            raise StageError(
                "the installed transformers takes steps without accelerate's clip_grad_norm_, so gradients "
                "go unchecked: use a version that this one names in its pyproject.toml"
            )
        norm = self._grad_norm.float()
        values = [torch.stack(self._losses).sum().to(norm.device), norm]
        if num_processes() > 1:
            # The Trainer multiplies each process's share of the loss by their number: the mean is the step's loss.
            shared = torch.stack([values[0], torch.tensor(float(self._stop.is_made), device=norm.device)])
            loss, asked = mean_over_processes(shared)
            loss, grad_norm, asked = torch.stack([loss, norm, asked]).tolist()
            self._is_stop_agreed = asked > 0
        else:
            loss, grad_norm = torch.stack(values).tolist()
        self._losses, self._grad_norm = [], None
        return StepFigures(loss=loss, grad_norm=grad_norm, learning_rate=learning_rate)

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether training is to end with this step, the same in every process."""
        return self._is_stop_agreed if num_processes() > 1 else self._stop.is_made


def training_arguments(job: TrainJob, horizon: Horizon) -> TrainingArguments:
    """The recipe in the Trainer's own terms. What it would log, evaluate or rotate by itself is off."""
    config = job.config
    is_cpu = not torch.accelerator.is_available()
    is_shared = job.num_processes > 1
    name, options = schedule(config, horizon)
    return TrainingArguments(
        output_dir=str(job.scratch_folder / "trainer"),
        max_steps=horizon.steps,
        per_device_train_batch_size=config.per_device_batch_size,
        gradient_accumulation_steps=horizon.accumulation_steps(job.num_processes),
        learning_rate=config.learning_rate,
        lr_scheduler_type=name,
        lr_scheduler_kwargs=options,
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        optim="adamw_torch_fused",
        adam_beta1=config.adam_beta1,
        adam_beta2=config.adam_beta2,
        adam_epsilon=config.adam_epsilon,
        max_grad_norm=config.max_grad_norm,
        bf16=config.bf16,
        use_cpu=is_cpu,  # said outright, or bf16 is refused there
        torch_compile=config.compile,
        seed=job.seed,
        data_seed=job.seed,
        train_sampling_strategy="sequential",  # OrderedSamples is in order already
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        dataloader_num_workers=job.num_loader_workers,
        ddp_backend="gloo" if is_shared and is_cpu else None,
        ddp_find_unused_parameters=False if is_shared else None,
        save_strategy="steps",
        save_steps=config.save_every_steps,
        save_total_limit=None,  # it removes the old before the new is known to be whole
        logging_strategy="no",
        logging_nan_inf_filter=False,  # it would log a loss of 0.0 for one that is nan
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def schedule(config: TrainConfig, horizon: Horizon) -> tuple[str, dict[str, Any]]:
    """The recipe's schedule by the Trainer's name, with its options."""
    if config.schedule == "wsd":
        shape = "1-sqrt" if config.decay_shape == "sqrt" else config.decay_shape
        return "warmup_stable_decay", {"num_decay_steps": horizon.decay_steps, "decay_type": shape}
    return ("constant_with_warmup" if config.schedule == "constant" else config.schedule), {}
