"""Where and how training runs, from environment variables.

None of it is part of a recipe, nor bears on the result beyond the rounding that docs/train.md tells.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pretrain.errors import UsageError
from pretrain.runner import num_usable_cores
from pretrain.train.config import TrainConfig

ALLOW_VARIABLE = "PRETRAIN_ALLOW_CHANGED_RESUME"
TENSORBOARD_VARIABLE = "PRETRAIN_TENSORBOARD_DIR"
NUM_PROCESSES_VARIABLE = "PRETRAIN_NUM_PROCESSES"
SHARDING_VARIABLE = "PRETRAIN_SHARDING"

# Longer than any step, compilation or validation should take; the child writes a line at least after each.
_SILENCE_SECONDS = 1800


@dataclass(frozen=True)
class Surroundings:
    """What the environment says.

    Attributes:
        num_threads: `OMP_NUM_THREADS`, or every usable core shared out among the processes.
        num_processes: `PRETRAIN_NUM_PROCESSES`, 1 where it is not set.
        num_loader_workers: `PRETRAIN_LOADER_WORKERS`, 0 where it is not set.
        silence_seconds: `PRETRAIN_TRAIN_SILENCE_SECONDS`: a training process that says nothing for so long is hung.
        allows_changed_resume: whether `PRETRAIN_ALLOW_CHANGED_RESUME` is 1.
        tensorboard_root: `PRETRAIN_TENSORBOARD_DIR`.
        sharding: `PRETRAIN_SHARDING`, `none` where it is not set.
    """

    num_threads: int
    num_processes: int
    num_loader_workers: int
    silence_seconds: int
    allows_changed_resume: bool
    tensorboard_root: Path | None
    sharding: Literal["none", "fsdp"] = "none"

    def tensorboard_folder(self, artifact_key: str) -> Path | None:
        """Where the event files of a training go."""
        return None if self.tensorboard_root is None else self.tensorboard_root.absolute() / artifact_key

    def require_trainable(self, config: TrainConfig) -> None:
        """Sees that a recipe can be trained here.

        Raises:
            UsageError: it says `compile`, which a sharded model is not.
        """
        if self.sharding == "fsdp" and config.compile:
            raise UsageError(
                f"{SHARDING_VARIABLE} is 'fsdp', and train.compile is true: a sharded model is not compiled. Set "
                f"train.compile to false, or unset {SHARDING_VARIABLE}"
            )


def read_surroundings() -> Surroundings:
    """What the environment of this process says.

    Raises:
        UsageError: a variable holds nothing that it can be.
    """
    num_processes = _number(NUM_PROCESSES_VARIABLE, 1)
    root = os.environ.get(TENSORBOARD_VARIABLE)
    return Surroundings(
        num_threads=_number("OMP_NUM_THREADS", max(1, num_usable_cores() // num_processes)),
        num_processes=num_processes,
        num_loader_workers=_number("PRETRAIN_LOADER_WORKERS", 0, least=0),
        silence_seconds=_number("PRETRAIN_TRAIN_SILENCE_SECONDS", _SILENCE_SECONDS),
        allows_changed_resume=_number(ALLOW_VARIABLE, 0, least=0) == 1,
        tensorboard_root=Path(root) if root else None,
        sharding=_sharding(num_processes),
    )


def _sharding(num_processes: int) -> Literal["none", "fsdp"]:
    value = os.environ.get(SHARDING_VARIABLE, "").strip() or "none"
    if value == "none":
        return "none"
    if value != "fsdp":
        raise UsageError(f"{SHARDING_VARIABLE} is {value!r}; set it to none or fsdp, or unset it for none")
    if num_processes == 1:
        raise UsageError(
            f"{SHARDING_VARIABLE} is 'fsdp', which shares a model out among processes, and there is one: set "
            f"{NUM_PROCESSES_VARIABLE} to 2 or more, or unset {SHARDING_VARIABLE}"
        )
    return "fsdp"


def _number(variable: str, default: int, *, least: int = 1) -> int:
    value = os.environ.get(variable, "").split(",")[0].strip()  # OMP_NUM_THREADS may have one for each level
    if not value:
        return default
    if not value.isdigit() or int(value) < least:
        kind = "a positive number" if least else "a number from 0 on"
        raise UsageError(f"{variable} is {value!r}; set it to {kind}, or unset it for {default}")
    return int(value)
