"""Hugging Face's Trainer, with the figures of each step at hand before the step is taken."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, Trainer, TrainingArguments

from pretrain.errors import StageError
from pretrain.train.batches import model_inputs
from pretrain.train.checkpoints import OPTIMIZER
from pretrain.train.config import TrainConfig
from pretrain.train.horizon import Horizon
from pretrain.train.job import TrainJob
from pretrain.train.optimizer_shards import load_state, save_shard
from pretrain.train.optimizers import muon_with_adamw
from pretrain.train.processes import is_main, mean_over_processes, num_processes, process_index
from pretrain.train.record import StepFigures
from pretrain.train.sharded_weights import read_weights, write_model
from pretrain.train.sharding import is_sharded, release, whole
from pretrain.train.stopping import StopRequest

_SCHEDULER = "scheduler.pt"  # the Trainer's name for it


class ObservedTrainer(Trainer):
    """Keeps the loss and the gradient norm of the step at work, for whoever decides whether to take it.

    Of a sharded model, each process writes and reads its own share of a checkpoint.

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
        self._is_state_loaded = False
        super().__init__(**options)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """The recipe's optimizer."""
        if self.optimizer is None and self.job.config.optimizer == "muon":
            trained: Any = self.model if model is None else model
            self.optimizer = muon_with_adamw(trained, self.job.config, self.get_decay_parameter_names(trained))
        return super().create_optimizer(model)

    def create_accelerator_and_postprocess(self) -> None:
        """Has the accelerator remember the norm that it clips by; no hook of the Trainer is told it.

        A sharded model is kept from DDP, as for evaluation: it gets autocast and nothing else.
        """
        super().create_accelerator_and_postprocess()
        clip, prepare = self.accelerator.clip_grad_norm_, self.accelerator.prepare_model

        def clip_and_remember(*args: Any, **options: Any) -> torch.Tensor | None:
            norm = clip(*args, **options)
            self._grad_norm = norm if norm is None else whole(norm)
            return self._grad_norm

        def prepare_sharded(model: nn.Module, **options: Any) -> Any:
            return prepare(model, device_placement=False, evaluation_mode=True)

        self.accelerator.clip_grad_norm_ = clip_and_remember
        if self.job.sharding == "fsdp":
            self.accelerator.prepare_model = prepare_sharded

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
        # Not by accelerate's unwrap_model: it takes DDP out of a compiled model for good, and gradients are then summed
        # over processes in every micro-batch instead of once a step.
        plain: Any = self.model
        inputs = model_inputs(inputs, plain.config._attn_implementation, is_compiled=self.args.torch_compile)
        return super().compute_loss(model, inputs, *args, **options)

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

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Writes the weights: of a sharded model each process its own."""
        if self._sharded is not None:
            write_model(self._sharded, Path(str(output_dir or self.args.output_dir)))
        else:
            super().save_model(output_dir, _internal_call)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if self._sharded is None:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        folder = Path(output_dir)
        optimizer: Any = self.optimizer
        scheduler: Any = self.lr_scheduler
        save_shard(optimizer, self._parameter_names(), folder, process_index(), num_processes())
        if is_main():
            torch.save(scheduler.state_dict(), folder / _SCHEDULER)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if self._sharded is not None:
            read_weights(self._sharded, Path(resume_from_checkpoint))
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        folder = Path(checkpoint)
        if self._sharded is None and (folder / OPTIMIZER).is_file():
            super()._load_optimizer_and_scheduler(checkpoint)
        else:
            optimizer: Any = self.optimizer
            scheduler: Any = self.lr_scheduler
            load_state(optimizer, self._parameter_names(), folder)
            scheduler.load_state_dict(torch.load(folder / _SCHEDULER, weights_only=True))
        self._is_state_loaded = True

    @property
    def _sharded(self) -> PreTrainedModel | None:
        model: Any = self.model
        return model if is_sharded(model) else None

    def _parameter_names(self) -> dict[int, str]:
        model: Any = self.model
        release(model)
        return {id(parameter): name for name, parameter in model.named_parameters()}

    def require_state_of(self, step: int) -> None:
        """Sees that training after `step` goes on with the optimizer's state of the checkpoint.

        Raises:
            StageError: it was not loaded: the Trainer has other hooks.
        """
        if step and not self._is_state_loaded:
            raise StageError(
                f"training would go on after step {step} without the optimizer's state: the installed transformers has "
                "changed its hooks; use a version that this one names in its pyproject.toml"
            )

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether training is to end with this step, the same in every process."""
        return self._is_stop_agreed if num_processes() > 1 else self._stop.is_made


def training_arguments(job: TrainJob, horizon: Horizon) -> TrainingArguments:
    """The recipe in the Trainer's own terms. What it would log, evaluate or rotate by itself is off."""
    config = job.config
    is_cpu, is_cuda = not torch.accelerator.is_available(), torch.cuda.is_available()
    is_shared = job.num_processes > 1
    accumulation_steps = horizon.accumulation_steps(job.num_processes)
    name, options = schedule(config, horizon)
    arguments = TrainingArguments(
        output_dir=str(job.scratch_folder / "trainer"),
        max_steps=horizon.steps,
        per_device_train_batch_size=config.per_device_batch_size,
        gradient_accumulation_steps=accumulation_steps,
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
        tf32=False if is_cuda and not config.bf16 else None,  # with compile the Trainer would switch it on: not float32
        seed=job.seed,
        data_seed=job.seed,
        train_sampling_strategy="sequential",  # OrderedSamples is in order already
        remove_unused_columns=False,
        dataloader_pin_memory=is_cuda,
        dataloader_num_workers=job.num_loader_workers,
        dataloader_prefetch_factor=_batches_ahead(accumulation_steps, job.num_loader_workers),
        accelerator_config={"non_blocking": is_cuda},  # from pinned memory: else the copy waits for the step before
        ddp_backend="gloo" if is_shared and is_cpu else None,
        ddp_find_unused_parameters=False if is_shared else None,
        ddp_broadcast_buffers=False if is_shared else None,  # the rotary embedding's, the same everywhere
        save_strategy="steps",
        save_steps=config.save_every_steps,
        save_total_limit=None,  # it removes the old before the new is known to be whole
        logging_strategy="no",
        logging_nan_inf_filter=False,  # it would log a loss of 0.0 for one that is nan
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    if is_shared and is_cpu:
        # Else `cpu:0`, where transformers 5.17 loads the optimizer's state to: a place that torch.load does not know.
        arguments.__dict__["_setup_devices"] = torch.device("cpu")
    return arguments


def _batches_ahead(accumulation_steps: int, num_loader_workers: int) -> int | None:
    """Of each worker: the micro-batches of a step are fetched together, before its first forward pass."""
    return max(2, -(-accumulation_steps // num_loader_workers)) if num_loader_workers else None


def schedule(config: TrainConfig, horizon: Horizon) -> tuple[str, dict[str, Any]]:
    """The recipe's schedule by the Trainer's name, with its options."""
    if config.schedule == "wsd":
        shape = "1-sqrt" if config.decay_shape == "sqrt" else config.decay_shape
        return "warmup_stable_decay", {"num_decay_steps": horizon.decay_steps, "decay_type": shape}
    return ("constant_with_warmup" if config.schedule == "constant" else config.schedule), {}
