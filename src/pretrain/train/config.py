"""The `train` part of a recipe, in the terms of `transformers.TrainingArguments`.

Where and how training runs is no part of it: the device is what PyTorch finds, and the number of threads is
`OMP_NUM_THREADS`, or every usable core. On a CPU weights are bit-identical for one number of threads only, so
that number is recorded in the manifest's provenance.
"""

from typing import Any, Literal

from pydantic import Field, model_validator

from pretrain.config import Config

VERSION: int = 1

# They say how often work is secured, and a resume is exact: the trained model is the same with any value.
_BEARS_ON_NO_RESULT = ("save_every_steps", "keep_checkpoints")


class TrainConfig(Config):
    """How a model is trained. One step is one optimizer update over one global batch of sequences."""

    max_steps: int = Field(
        gt=0,
        description="Optimizer steps. An epoch ends inside a batch where it does: data repeats, reshuffled",
    )
    per_device_batch_size: int = Field(
        default=16,
        gt=0,
        description="Sequences in one forward pass (TrainingArguments.per_device_train_batch_size)",
    )
    gradient_accumulation_steps: int = Field(
        default=1, gt=0, description="Forward passes per step; the global batch is their product"
    )
    learning_rate: float = Field(
        default=1e-3, gt=0, description="Peak of the schedule; 1e-3 suits models of a few million parameters"
    )
    schedule: Literal["linear", "cosine", "constant"] = Field(
        default="linear", description="After the warm-up: to 0 at max_steps, or constant (TrainingArguments)"
    )
    warmup_steps: int = Field(
        default=10, ge=0, description="Steps over which the rate rises from 0 (step 1) to its peak"
    )
    weight_decay: float = Field(
        default=0.0,
        ge=0,
        description="AdamW's decoupled decay; norms and biases are exempt (TrainingArguments)",
    )
    adam_beta1: float = Field(default=0.9, ge=0, lt=1, description="Kingma & Ba 2015, section 2")
    adam_beta2: float = Field(default=0.999, ge=0, lt=1, description="Kingma & Ba 2015, section 2")
    adam_epsilon: float = Field(default=1e-8, gt=0, description="Kingma & Ba 2015, section 2")
    max_grad_norm: float = Field(
        default=1.0, gt=0, description="Gradients are scaled down to this L2 norm (TrainingArguments)"
    )
    bf16: bool = Field(
        default=False,
        description="Forward and backward in bfloat16 by autocast; weights and Adam stay float32",
    )
    compile: bool = Field(
        default=False, description="torch.compile; on a CPU half a minute of start for a tenth more speed"
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="Recompute activations in the backward pass: less memory, a third more time",
    )
    log_every_steps: int = Field(default=10, gt=0, description="Steps averaged into one row of metrics")
    eval_every_steps: int | None = Field(
        default=None,
        gt=0,
        description="Steps between validations; null validates before the first and after the last",
    )
    max_eval_sequences: int = Field(
        default=128,
        ge=0,
        description="Validation sequences measured, the first of the split; 0 measures none",
    )
    save_every_steps: int = Field(
        default=100, gt=0, description="Steps between checkpoints, so at most these are lost to a kill"
    )
    keep_checkpoints: int = Field(
        default=2,
        ge=1,
        description="Newest checkpoints kept while training; a damaged one falls back to the one before",
    )

    sample_prompts: tuple[str, ...] = Field(
        default=(), description="Texts that the trained model goes on from; kept in samples/final.jsonl"
    )
    sample_tokens: int = Field(default=60, ge=1, description="Tokens of each sample")

    @property
    def global_batch_size(self) -> int:
        """Sequences per optimizer step."""
        return self.per_device_batch_size * self.gradient_accumulation_steps

    def identity(self) -> dict[str, Any]:
        """The config without what secures work and bears on no result."""
        return {name: value for name, value in super().identity().items() if name not in _BEARS_ON_NO_RESULT}

    @model_validator(mode="after")
    def _warmup_ends_before_training(self) -> "TrainConfig":
        if self.warmup_steps > self.max_steps:
            raise ValueError(
                f"warmup_steps is {self.warmup_steps}, more than max_steps = {self.max_steps}: "
                "the learning rate would never reach its peak"
            )
        return self
