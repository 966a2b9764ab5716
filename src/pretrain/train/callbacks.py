"""What happens around the Trainer's steps: the check before each, the record after it, the checkpoints."""

import math
import time
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pretrain.errors import StageError
from pretrain.subprocesses import emit
from pretrain.train.checkpoints import RECORD, CheckpointFolder
from pretrain.train.record import StepFigures, TrainingRecord
from pretrain.train.samples import OrderedSamples
from pretrain.train.throughput import StepClock
from pretrain.train.trainer import ObservedTrainer
from pretrain.train.validation import Validation

_HEARTBEAT_SECONDS = 1.0
_SEQUENCES_NAMED = 8


class Recorder(TrainerCallback):
    """Refuses a step that is not finite, records those that are, validates, and tells the parent process.

    Args:
        trainer: the trainer that it is a callback of.
        samples: to name the sequences of a step that is refused.
        record: the record, with what an earlier process put in it.
        validation: measured before the first and after the last step; None without a validation split.
        eval_every_steps: steps between further validations.
        clock: the clock of steps.
    """

    def __init__(
        self,
        trainer: ObservedTrainer,
        samples: OrderedSamples,
        record: TrainingRecord,
        validation: Validation | None,
        eval_every_steps: int | None,
        clock: StepClock,
    ) -> None:
        self.trainer = trainer
        self.samples = samples
        self.record = record
        self.validation = validation
        self.eval_every_steps = eval_every_steps
        self.clock = clock
        self.first_step_ended: float | None = None
        self._figures: StepFigures | None = None
        self._heard = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Validates the untrained model."""
        if state.global_step == 0:
            self._validate(0, kwargs["model"])

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Shows that a long step is alive."""
        self._beat()

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Ends training when the loss or the gradient norm is not finite, before the weights are touched."""
        step = state.global_step + 1
        figures = self.trainer.take_figures(kwargs["optimizer"].param_groups[0]["lr"])
        if not (math.isfinite(figures.loss) and math.isfinite(figures.grad_norm)):
            raise StageError(self._describe_refusal(step, figures))
        self._figures = figures

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Records the step, and validates where it is time."""
        step = state.global_step
        if self._figures is None:
            raise StageError(f"step {step} was taken unchecked: the installed transformers has changed its hooks")
        self.clock.end_step()
        self.first_step_ended = self.first_step_ended or time.monotonic()
        row = self.record.add_step(step, self._figures)
        self._figures = None
        if row is not None:
            emit("step", **row, tokens_per_second=self.clock.take_rate())
        is_time = self.eval_every_steps is not None and step % self.eval_every_steps == 0
        if is_time or step == self.record.max_steps:
            self._validate(step, kwargs["model"])
        self._beat()

    def _validate(self, step: int, model: PreTrainedModel) -> None:
        if self.validation is None:
            return
        figures = self.validation.measure(model)
        if not math.isfinite(figures.loss):
            raise StageError(f"the validation loss after step {step} is {figures.loss}: {_ADVICE}")
        emit("validation", **self.record.add_validation(step, figures))
        self.clock.restart()

    def _beat(self) -> None:
        if time.monotonic() - self._heard > _HEARTBEAT_SECONDS:
            self._heard = time.monotonic()
            emit("heartbeat")

    def _describe_refusal(self, step: int, figures: StepFigures) -> str:
        global_batch = len(self.samples) // self.record.max_steps
        first = (step - 1) * global_batch
        named = [self.samples.order.sequence_of(first + i) for i in range(min(global_batch, _SEQUENCES_NAMED))]
        more = f" and {global_batch - len(named)} more" if global_batch > len(named) else ""
        return (
            f"training stopped before optimizer step {step} of {self.record.max_steps}: the loss is "
            f"{figures.loss} and the gradient norm {figures.grad_norm}, on training sequences "
            f"{', '.join(map(str, named))}{more}. The step was not taken, and the checkpoints before it are "
            f"kept. {_ADVICE}"
        )


_ADVICE = "Lower train.learning_rate, lengthen train.warmup_steps, or set train.bf16 to false"


class CheckpointSealer(TrainerCallback):
    """Makes what the Trainer saved a complete checkpoint, with the record in it."""

    def __init__(self, checkpoints: CheckpointFolder, record: TrainingRecord, clock: StepClock) -> None:
        self.checkpoints = checkpoints
        self.record = record
        self.clock = clock

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Saves as often as is asked now, which need not be as often as the checkpoint's run did."""
        state.save_steps = int(args.save_steps)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Called when the Trainer has written all of its files into its own folder."""
        written = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        self.record.save(written / RECORD)
        self.checkpoints.seal(written, state.global_step)
        emit("checkpoint", step=state.global_step)
        self.clock.restart()
