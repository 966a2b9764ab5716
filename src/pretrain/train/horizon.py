"""How long training is and how large its steps are: what the recipe says, in steps, sequences and tokens."""

from dataclasses import dataclass

from pretrain.errors import RecipeError
from pretrain.train.config import TrainConfig


@dataclass(frozen=True)
class Horizon:
    """The length of a training and of its phases, and the size of its steps.

    Attributes:
        steps: optimizer steps of the whole training.
        global_batch_size: sequences of one step, over all processes.
        sequence_length: tokens of one sequence.
        per_device_batch_size: sequences of one forward pass.
        decay_steps: last steps, in which the rate of the `wsd` schedule falls.
    """

    steps: int
    global_batch_size: int
    sequence_length: int
    per_device_batch_size: int
    decay_steps: int

    @property
    def tokens_per_step(self) -> int:
        """Input tokens of one step."""
        return self.global_batch_size * self.sequence_length

    @property
    def num_samples(self) -> int:
        """Sequences that the whole training reads, one read twice counted twice."""
        return self.steps * self.global_batch_size

    @property
    def tokens(self) -> int:
        """Input tokens of the whole training."""
        return self.steps * self.tokens_per_step

    def accumulation_steps(self, num_processes: int = 1) -> int:
        """Forward passes of each process per step; the global batch is the same for every number of processes.

        Raises:
            RecipeError: the global batch cannot be shared out evenly.
        """
        at_once = self.per_device_batch_size * num_processes
        if self.global_batch_size % at_once:
            raise RecipeError(
                f"a step has {self.global_batch_size} sequences, which {num_processes} processes of "
                f"train.per_device_batch_size = {self.per_device_batch_size} cannot share evenly: use a number of "
                f"processes that divides {self.global_batch_size // self.per_device_batch_size}, or smaller batches"
            )
        return self.global_batch_size // at_once


def horizon(config: TrainConfig, sequence_length: int) -> Horizon:
    """The horizon of a recipe's training.

    Args:
        config: the recipe's part.
        sequence_length: tokens of one packed sequence, `pack.sequence_length`.

    Raises:
        RecipeError: tokens do not divide into steps, or a step into forward passes; the message names what would.
    """
    at_once = config.per_device_batch_size * sequence_length
    if config.global_batch_tokens is None:
        tokens_per_step = at_once * (config.gradient_accumulation_steps or 1)
    else:
        tokens_per_step = config.global_batch_tokens
        made_of = (
            f"train.per_device_batch_size * pack.sequence_length = {config.per_device_batch_size} * {sequence_length}"
        )
        _require_multiple("train.global_batch_tokens", tokens_per_step, at_once, made_of)
    steps = config.max_steps
    if steps is None:
        tokens = config.tokens or 0
        _require_multiple("train.tokens", tokens, tokens_per_step, "the tokens of one step")
        steps = tokens // tokens_per_step
    decay_steps = max(1, round(steps * config.decay_fraction)) if config.schedule == "wsd" else 0
    if config.warmup_steps + decay_steps > steps:
        decaying = f" and a decay of {decay_steps} steps" if decay_steps else ""
        raise RecipeError(
            f"train.warmup_steps = {config.warmup_steps}{decaying} do not fit into the {steps} steps of the training: "
            "lower them, or train longer"
        )
    return Horizon(
        steps=steps,
        global_batch_size=tokens_per_step // sequence_length,
        sequence_length=sequence_length,
        per_device_batch_size=config.per_device_batch_size,
        decay_steps=decay_steps,
    )


def _require_multiple(key: str, value: int, of: int, made_of: str) -> None:
    if value % of:
        below = value // of * of
        nearest = f"{below} or {below + of}" if below else f"{of}"
        raise RecipeError(f"{key} is {value}, no multiple of {of} ({made_of}): give {nearest}")
