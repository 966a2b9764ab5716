"""What the training process says, as progress, copies of checkpoints, warnings and errors."""

import logging
from typing import Any

from pretrain import errors
from pretrain.errors import StageError, SubprocessError
from pretrain.progress import Progress
from pretrain.spinning import spin_environment
from pretrain.stage import Stats
from pretrain.subprocesses import run_job
from pretrain.train.copies import CheckpointCopies
from pretrain.train.job import TrainJob

logger = logging.getLogger("pretrain.train")


class Listener:
    """Runs the child and hears it.

    Args:
        progress: told how far training is.
        num_steps: of the whole training.
        copies: of checkpoints; None where the store is local.
    """

    def __init__(self, progress: Progress, num_steps: int, copies: CheckpointCopies | None) -> None:
        self.progress = progress
        self.num_steps = num_steps
        self.copies = copies
        self.stats: Stats | None = None
        self.failure: errors.PretrainError | None = None

    def run(self, job: TrainJob, silence_seconds: float) -> Stats:
        """The stats of the finished job.

        Args:
            job: the job.
            silence_seconds: the child is ended when it says nothing for so long.

        Raises:
            PretrainError: what the child failed with.
            SubprocessError: the child ended, was killed, was silent for too long, or stopped as it was asked to;
                running it again resumes, and a retry is worth it.
        """
        spinning = spin_environment(job.num_threads * job.num_processes)
        environment = {"OMP_NUM_THREADS": str(job.num_threads), **spinning}
        try:
            run_job(
                "pretrain.train.worker",
                job.model_dump(mode="json"),
                job.scratch_folder,
                self.hear,
                environment=environment,
                silence_seconds=silence_seconds,
            )
        except SubprocessError as error:
            raise self.failure or error from None
        if self.stats is None:
            raise SubprocessError("the training process ended well and told no result: run the same command again")
        return self.stats

    def hear(self, event: dict[str, Any]) -> None:
        """One event of the child."""
        total = self.num_steps
        match event["event"]:
            case "started":
                text = f"resuming after step {event['step']}/{total}" if event["step"] else f"step 0/{total}"
                self.progress(event["step"], total, text)
            case "step":
                self.progress(event["step"], total, _step_text(event, total))
            case "validation":
                text = (
                    f"step {event['step']}/{total} validation loss {event['validation_loss']:.3f} "
                    f"({event['bits_per_byte']:.3f} bits per byte)"
                )
                self.progress(event["step"], total, text)
            case "spike":
                follows = "training goes back and skips what it saw since" if event["goes_back"] else "training goes on"
                logger.warning("%s: %s", event["message"], follows)
            case "notice":
                logger.warning("%s", event["message"])
            case "samples":
                for row in event["samples"]:
                    logger.info("step %d: %r goes on: %r", event["step"], row["prompt"], row["text"])
            case "checkpoint" if self.copies is not None:
                self.copies.copy(event["step"])
            case "stopped":
                self.failure = SubprocessError(
                    f"training was asked to stop (SIGTERM), and did so after step {event['step']} of {total}: "
                    "the same command resumes there"
                )
            case "finished":
                self.stats = event["stats"]
            case "failed":
                self.failure = getattr(errors, event["error"], StageError)(event["message"])


def _step_text(event: dict[str, Any], total: int) -> str:
    rate, seconds = event["tokens_per_second"], event["step_seconds"]
    speed = "" if rate is None else f" {rate / 1000:.1f}k tokens/s" if rate >= 1000 else f" {rate:.0f} tokens/s"
    left = "" if seconds is None or event["step"] >= total else f", {_time((total - event['step']) * seconds)} left"
    return f"step {event['step']}/{total} loss {event['loss']:.3f}{speed}{left}"


def _time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
