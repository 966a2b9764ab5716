"""The `train` part of a recipe, in the terms of `transformers.TrainingArguments`.

Where and how training runs is no part of it: the device is what PyTorch finds, the number of threads is
`OMP_NUM_THREADS`, or every usable core, and docs/train.md names the other variables. On a CPU weights are
bit-identical for one number of threads only, so that number is recorded in the manifest's provenance.
"""

from typing import Any, Literal

from pydantic import Field, model_validator

from pretrain.config import Config

VERSION: int = 4

# They say how often work is secured, and a resume is exact: the trained model is the same with any value.
_BEARS_ON_NO_RESULT = ("save_every_steps", "keep_checkpoints")


class TrainConfig(Config):
    """How a model is trained. One step is one optimizer update over one global batch of sequences."""

    max_steps: int | None = Field(
        default=None,
        gt=0,
        description="Optimizer steps; or give `tokens`. An epoch ends inside a batch where it does: data repeats, "
        "reshuffled",
    )
    tokens: int | None = Field(
        default=None, gt=0, description="Input tokens of the whole training, a multiple of the global batch's"
    )
    per_device_batch_size: int = Field(
        default=16,
        gt=0,
        description="Sequences in one forward pass (TrainingArguments.per_device_train_batch_size)",
    )
    gradient_accumulation_steps: int | None = Field(
        default=None,
        gt=0,
        description="Forward passes of one process per step; the global batch is their product. null is 1, or what "
        "`global_batch_tokens` makes it",
    )
    global_batch_tokens: int | None = Field(
        default=None,
        gt=0,
        description="Input tokens of one step, a multiple of per_device_batch_size * pack.sequence_length",
    )
    optimizer: Literal["adamw", "muon"] = Field(
        default="adamw",
        description="AdamW (fused); or Muon for the matrices of the hidden layers and AdamW for embeddings, head and "
        "vectors (Jordan 2024; torch.optim.Muon)",
    )
    learning_rate: float = Field(
        default=1e-3, gt=0, description="Peak of the schedule; 1e-3 suits models of a few million parameters"
    )
    schedule: Literal["linear", "cosine", "wsd", "constant"] = Field(
        default="linear",
        description="After the warm-up: to 0 at the last step (linear, cosine), constant and then to 0 (wsd: Hu et al. "
        "2024, arXiv 2404.06395, section 4), or constant",
    )
    warmup_steps: int = Field(
        default=10, ge=0, description="Steps over which the rate rises from 0 (step 1) to its peak"
    )
    decay_fraction: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="wsd: share of the steps in which the rate falls (Haegele et al. 2024, arXiv 2405.18392)",
    )
    decay_shape: Literal["sqrt", "linear", "cosine"] = Field(
        default="sqrt",
        description="wsd: how it falls; sqrt is 1 - sqrt(share of the decay that is done) (Haegele et al. 2024)",
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
    attention: Literal["sdpa", "varlen"] = Field(
        default="sdpa",
        description="How documents are kept apart where pack isolates them: sdpa computes all pairs of a sequence and "
        "masks, varlen those within each document (torch.nn.attention.varlen); the same but for rounding",
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
    keep_every_steps: int | None = Field(
        default=None,
        gt=0,
        description="Steps between checkpoints that stay: saved as well, and their models kept in models/step-*",
    )
    keep_best: bool = Field(
        default=False,
        description="Save at every validation that is the best so far, and keep the model of the best",
    )
    spike_sigma: float = Field(
        default=6.0,
        gt=0,
        description="A loss so many standard deviations above the mean of those before is a spike (OLMo-core's "
        "StabilityMonitor)",
    )
    spike_window_steps: int = Field(
        default=128, ge=2, description="Steps before a step that its loss is compared with (OLMo-core)"
    )
    spike_rollbacks: int = Field(
        default=0,
        ge=0,
        description="How often a spike takes training back to the last regular checkpoint, and skips the sequences "
        "since (Chowdhery et al. 2022, PaLM, section 5.1); 0 reports spikes only",
    )
    sample_prompts: tuple[str, ...] = Field(
        default=(), description="Texts that the trained model goes on from; kept in samples/final.jsonl"
    )
    sample_every_steps: int | None = Field(
        default=None,
        gt=0,
        description="Steps between samples of the model in training, kept in samples/train.jsonl",
    )
    sample_tokens: int = Field(default=60, ge=1, description="Tokens of each sample")

    def identity(self) -> dict[str, Any]:
        """The config without what secures work and bears on no result."""
        identity = {name: value for name, value in super().identity().items() if name not in _BEARS_ON_NO_RESULT}
        if self.attention == "sdpa":
            del identity["attention"]
        if self.global_batch_tokens is None:
            identity["gradient_accumulation_steps"] = self.gradient_accumulation_steps or 1
        if self.spike_rollbacks:  # to which step training goes back
            identity["save_every_steps"] = self.save_every_steps
        return identity

    @model_validator(mode="after")
    def _one_horizon_and_one_batch(self) -> "TrainConfig":
        if (self.max_steps is None) == (self.tokens is None):
            seen = "neither is" if self.tokens is None else "both are"
            raise ValueError(f"give max_steps or tokens, one of them ({seen} given)")
        if self.global_batch_tokens is not None and self.gradient_accumulation_steps is not None:
            raise ValueError(
                f"gradient_accumulation_steps is {self.gradient_accumulation_steps}, and would also follow from "
                f"global_batch_tokens = {self.global_batch_tokens}: leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _what_is_asked_can_be_done(self) -> "TrainConfig":
        if self.sample_every_steps is not None and not self.sample_prompts:
            raise ValueError(f"sample_every_steps is {self.sample_every_steps}, but there are no sample_prompts")
        if self.keep_best and self.max_eval_sequences == 0:
            raise ValueError("keep_best is true, but max_eval_sequences = 0 validates nothing")
        return self

    @model_validator(mode="after")
    def _warmup_ends_before_training(self) -> "TrainConfig":
        if self.max_steps is not None and self.warmup_steps > self.max_steps:
            raise ValueError(
                f"warmup_steps is {self.warmup_steps}, more than max_steps = {self.max_steps}: "
                "the learning rate would never reach its peak"
            )
        return self
