"""What training records: rows of metrics, and the figures of the manifest made from them.

It is saved in every checkpoint, with the window of steps not yet in a row, so that a resumed run writes the
same bytes as an undisturbed one. Nothing in it comes from a clock but `speeds`, which no part of the artifact has.
"""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pretrain.stage import Stats
from pretrain.train.spikes import Spike


@dataclass(frozen=True)
class StepFigures:
    """One optimizer step.

    Attributes:
        loss: mean over the step's targets, in nats per token.
        grad_norm: L2 norm of the gradients before clipping.
        learning_rate: the rate that the step used.
    """

    loss: float
    grad_norm: float
    learning_rate: float


@dataclass(frozen=True)
class ValidationFigures:
    """The model on the fixed validation sequences.

    Attributes:
        loss: mean over all targets, in nats per token.
        bits_per_byte: bits per byte of text, over the targets that stand for text.
    """

    loss: float
    bits_per_byte: float


@dataclass
class TrainingRecord:
    """The rows so far, and the losses of the steps since the last row.

    Attributes:
        max_steps: steps that the whole training has.
        log_every_steps: steps averaged into one row; the first and the last step always end a row.
        tokens_per_step: input tokens of one global batch.
        identity: what the training is made with, see `TrainJob.identity`.
        rows: of metrics.
        open_losses: of the steps since the last row.
        recent_losses: of the last steps, as many as a spike is judged by.
        samples: texts of the model in training: step, prompt and text.
        spikes: steps whose loss leapt, and were taken.
        rollbacks: steps whose loss leapt, and were not: with the step gone back to, and the sequences skipped.
        shifts: pairs of a place in the run and the samples skipped there, see `OrderedSamples`.
        changes: resumes that were allowed to change the identity: the step, and the old and new values by key.
        tokens_before: pair of a step and the tokens up to it, from which on `tokens_per_step` holds.
        speeds: what a clock says of the steps of each row, see `step_speed`.
    """

    max_steps: int
    log_every_steps: int
    tokens_per_step: int
    identity: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    open_losses: list[float] = field(default_factory=list)
    recent_losses: list[float] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    spikes: list[dict[str, Any]] = field(default_factory=list)
    rollbacks: list[dict[str, Any]] = field(default_factory=list)
    shifts: list[list[int]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    tokens_before: tuple[int, int] = (0, 0)
    speeds: list[dict[str, Any]] = field(default_factory=list)

    def tokens_at(self, step: int) -> int:
        """Input tokens of the steps up to `step`."""
        first, before = self.tokens_before
        return before + (step - first) * self.tokens_per_step

    def keep_loss(self, loss: float, window_steps: int) -> None:
        """Adds the loss of a step to those that the next ones are judged by."""
        self.recent_losses = [*self.recent_losses, loss][-window_steps:]

    def add_spike(self, spike: Spike) -> None:
        """Adds a spike whose step is taken."""
        self.spikes.append(asdict(spike))

    def roll_back(self, abandoned: "TrainingRecord", spike: Spike, step: int, batch_size: int) -> None:
        """Makes this, the record of the checkpoint of `step`, go on instead of `abandoned`, behind the skipped samples.

        Args:
            abandoned: the record of the training up to the spike.
            spike: in the step that was not taken.
            step: of the checkpoint.
            batch_size: sequences of one step.
        """
        skipped = (spike.step - step) * batch_size
        row = {**asdict(spike), "back_to_step": step, "sequences_skipped": skipped}
        self.rollbacks = [*abandoned.rollbacks, row]
        self.shifts = [*abandoned.shifts, [step * batch_size, skipped]]

    def best_step(self) -> int | None:
        """The step of the lowest validation loss so far, the first of equals; None without a validation."""
        found = [(row["validation_loss"], row["step"]) for row in self.rows if "validation_loss" in row]
        return min(found)[1] if found else None

    def add_step(self, step: int, figures: StepFigures) -> dict[str, Any] | None:
        """Counts step `step` (the first is 1) in, and returns the row that it completes, if any."""
        self.open_losses.append(figures.loss)
        if step not in (1, self.max_steps) and step % self.log_every_steps != 0:
            return None
        row = {
            "step": step,
            "loss": sum(self.open_losses) / len(self.open_losses),
            "grad_norm": figures.grad_norm,
            "learning_rate": figures.learning_rate,
            "tokens": self.tokens_at(step),
        }
        self.open_losses = []
        self.rows.append(row)
        return row

    def add_validation(self, step: int, figures: ValidationFigures) -> dict[str, Any]:
        """Adds the row of a validation after step `step`, 0 for the untrained model."""
        row = {
            "step": step,
            "validation_loss": figures.loss,
            "bits_per_byte": figures.bits_per_byte,
            "tokens": self.tokens_at(step),
        }
        self.rows.append(row)
        return row

    def is_validated(self, step: int) -> bool:
        """Whether there is a validation row of step `step`."""
        return any(row["step"] == step and "validation_loss" in row for row in self.rows)

    def stats(self) -> Stats:
        """The figures of the finished training.

        `loss_first` is the loss of step 1, before any update; `loss_final` the mean of the rows of the last
        tenth of the steps. `validation_loss_first` and `bits_per_byte_first` are the untrained model's;
        validation figures are None where nothing was validated. `loss_spikes` counts the steps whose loss leapt,
        and `sequences_skipped` what was skipped after going back from some; both and `resumes_with_changes` are there
        where there were any.
        """
        losses = [row for row in self.rows if "loss" in row]
        last = [row["loss"] for row in losses if row["step"] > 0.9 * self.max_steps]
        validations = [row for row in self.rows if "validation_loss" in row]
        spikes = len(self.spikes) + len(self.rollbacks)
        skipped = sum(row["sequences_skipped"] for row in self.rollbacks)
        return {
            "steps": self.max_steps,
            "tokens": self.tokens_at(self.max_steps),
            "loss_first": losses[0]["loss"],
            "loss_final": math.fsum(last) / len(last),
            "validation_loss_first": validations[0]["validation_loss"] if validations else None,
            "validation_loss": validations[-1]["validation_loss"] if validations else None,
            "bits_per_byte_first": validations[0]["bits_per_byte"] if validations else None,
            "bits_per_byte": validations[-1]["bits_per_byte"] if validations else None,
            **({"loss_spikes": spikes} if spikes else {}),
            **({"sequences_skipped": skipped, "rollbacks": self.rollbacks} if self.rollbacks else {}),
            **({"resumes_with_changes": self.changes} if self.changes else {}),
        }

    def write_rows(self, path: Path) -> int:
        """Writes one JSON object a line, and returns how many."""
        path.write_text("".join(json.dumps(row) + "\n" for row in self.rows), encoding="utf-8")
        return len(self.rows)

    def save(self, path: Path) -> None:
        """Writes all of it, the open window too."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "TrainingRecord":
        """What `save` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))
