"""What happens around the Trainer's steps: the check before each, the record after it, the checkpoints."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pretrain.errors import StageError
from pretrain.subprocesses import emit
from pretrain.train.checkpoints import RECORD, CheckpointFolder, complete_random_states
from pretrain.train.config import TrainConfig
from pretrain.train.documents import documents_of
from pretrain.train.horizon import Horizon
from pretrain.train.job import TrainJob
from pretrain.train.processes import is_main, num_processes, wait_for_all
from pretrain.train.record import StepFigures, TrainingRecord
from pretrain.train.samples import OrderedSamples
from pretrain.train.sampling import sample_rows
from pretrain.train.sharding import is_sharded
from pretrain.train.spikes import RollBack, find_spike
from pretrain.train.tensorboard import EventFiles
from pretrain.train.throughput import StepClock, step_speed
from pretrain.train.trainer import ObservedTrainer
from pretrain.train.validation import Validation

_HEARTBEAT_SECONDS = 1.0
_SEQUENCES_NAMED = 8
_DOCUMENTS_NAMED = 8


class StepGuard(TrainerCallback):
    """Refuses a step that is not finite or leaps, before the weights are touched; others it leaves to the recorder.

    Args:
        trainer: the trainer that it is a callback of.
        samples: to name the sequences of a step that is refused.
        record: where spikes are kept.
        horizon: steps and batch of the training.
    """

    def __init__(
        self, trainer: ObservedTrainer, samples: OrderedSamples, record: TrainingRecord, horizon: Horizon
    ) -> None:
        self.trainer = trainer
        self.samples = samples
        self.record = record
        self.horizon = horizon
        self._figures: StepFigures | None = None

    def take_figures(self, step: int) -> StepFigures:
        """The figures of the step that was taken.

        Raises:
            StageError: it was taken without being checked.
        """
        if self._figures is None:
            raise StageError(f"step {step} was taken unchecked: the installed transformers has changed its hooks")
        figures, self._figures = self._figures, None
        return figures

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Ends training that would go on with a fresh optimizer."""
        self.trainer.require_state_of(state.global_step)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Ends training when the loss or the gradient norm is not finite, or goes back when the loss leaps."""
        step = state.global_step + 1
        figures = self.trainer.take_figures(kwargs["optimizer"].param_groups[0]["lr"])
        if not (math.isfinite(figures.loss) and math.isfinite(figures.grad_norm)):
            raise StageError(self._describe_refusal(step, figures))
        self._look_for_spike(step, figures.loss, self.trainer.job.config)
        self._figures = figures

    def _look_for_spike(self, step: int, loss: float, config: TrainConfig) -> None:
        spike = find_spike(step, loss, self.record.recent_losses, config.spike_window_steps, config.spike_sigma)
        if spike is not None:
            goes_back = len(self.record.rollbacks) < config.spike_rollbacks
            emit("spike", step=step, message=f"{spike}, on {self._describe_sequences(step)}", goes_back=goes_back)
            if goes_back:
                raise RollBack(spike)
            self.record.add_spike(spike)
        self.record.keep_loss(loss, config.spike_window_steps)

    def _describe_sequences(self, step: int) -> str:
        batch_size = self.horizon.global_batch_size
        first = (step - 1) * batch_size
        named = [self.samples.sequence_at(first + i) for i in range(min(batch_size, _SEQUENCES_NAMED))]
        sequences = f"training sequences {_listed(named, batch_size)}"
        folder = self.trainer.job.pack_folder
        ids = [name for number in named for name in documents_of(self.samples.sequences, number, folder)]
        if not ids:
            return sequences
        documents = _listed(list(dict.fromkeys(ids))[:_DOCUMENTS_NAMED], len(set(ids)))
        return f"{sequences} ({'those named hold ' if batch_size > len(named) else ''}documents {documents})"

    def _describe_refusal(self, step: int, figures: StepFigures) -> str:
        return (
            f"training stopped before optimizer step {step} of {self.horizon.steps}: the loss is "
            f"{figures.loss} and the gradient norm {figures.grad_norm}, on {self._describe_sequences(step)}. "
            f"The step was not taken, and the checkpoints before it are kept. {_ADVICE}"
        )


def _listed(named: Sequence[object], count: int) -> str:
    more = f" and {count - len(named)} more" if count > len(named) else ""
    return f"{', '.join(map(str, named))}{more}"


_ADVICE = "Lower train.learning_rate, lengthen train.warmup_steps, or set train.bf16 to false"


class Recorder(TrainerCallback):
    """Records the steps that were taken, validates, samples, and tells the parent process.

    Args:
        job: the training.
        guard: has the figures of the step.
        record: the record, with what an earlier process put in it.
        validation: measured before the first and after the last step; None without a validation split.
        clock: the clock of steps.
        event_files: for TensorBoard.
    """

    def __init__(
        self,
        job: TrainJob,
        guard: StepGuard,
        record: TrainingRecord,
        validation: Validation | None,
        clock: StepClock,
        event_files: EventFiles,
    ) -> None:
        self.job = job
        self.guard = guard
        self.record = record
        self.validation = validation
        self.clock = clock
        self.event_files = event_files
        self.first_step_ended: float | None = None
        self._heard = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Validates the untrained model."""
        self.clock.restart()
        if state.global_step == 0:
            self._validate(0, kwargs["model"])

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Shows that a long step is alive."""
        self._beat()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Records the step, validates and samples where it is time, and ends training where that is asked."""
        step, last, config = state.global_step, self.record.max_steps, self.job.config
        figures = self.guard.take_figures(step)
        self.clock.end_step()
        self.first_step_ended = self.first_step_ended or time.monotonic()
        row = self.record.add_step(step, figures)
        if row is not None:
            speed = step_speed(self.clock, self.job.flops_per_token, num_processes())
            self.record.speeds.append({"step": step, **speed})
            emit("step", **row, **speed)
            self.event_files.add(row | speed)
        if step == last or (config.eval_every_steps is not None and step % config.eval_every_steps == 0):
            self._validate(step, kwargs["model"])
            control.should_save |= config.keep_best and self.record.best_step() == step
        if config.sample_every_steps is not None and step % config.sample_every_steps == 0:
            self._sample(step, kwargs["model"])
        control.should_save |= config.keep_every_steps is not None and step % config.keep_every_steps == 0
        if self.guard.trainer.is_asked_to_stop and step < last:
            control.should_save = control.should_training_stop = True
        self._beat()

    def _validate(self, step: int, model: PreTrainedModel) -> None:
        if self.validation is None:
            return
        figures = self.validation.measure(model, self._beat)
        if not math.isfinite(figures.loss):
            raise StageError(f"the validation loss after step {step} is {figures.loss}: {_ADVICE}")
        row = self.record.add_validation(step, figures)
        emit("validation", **row)
        self.event_files.add(row)
        self.clock.restart()

    def _sample(self, step: int, model: PreTrainedModel) -> None:
        if is_main() or is_sharded(model):
            rows = [{"step": step, **row} for row in sample_rows(self.job, model)]
            self.record.samples += rows
            emit("samples", step=step, samples=rows)
        self.clock.restart()

    def _beat(self) -> None:
        if time.monotonic() - self._heard > _HEARTBEAT_SECONDS:
            self._heard = time.monotonic()
            emit("heartbeat")


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
        wait_for_all()  # each process writes its generators' states
        if is_main():
            complete_random_states(written, num_processes())
            self.record.save(written / RECORD)
            self.checkpoints.seal(written, state.global_step, best_step=self.record.best_step())
        emit("checkpoint", step=state.global_step)
        wait_for_all()
        self.clock.restart()
