"""How fast training goes: from a clock, so no part of what is compared between runs."""

import resource
import sys
import time
from typing import Any

import torch

from pretrain.modeling.hardware import peak_flops_per_second


class StepClock:
    """Measures the time of optimizer steps, without validation, saving and the process's first step.

    The first step allocates memory and compiles, so it says nothing about those after it.
    """

    def __init__(self, tokens_per_step: int) -> None:
        self.tokens_per_step = tokens_per_step
        self._mark: float | None = None
        self._steps = self._row_steps = 0
        self._seconds = self._row_seconds = 0.0

    def end_step(self) -> None:
        """Call at the end of every step."""
        now = time.monotonic()
        if self._mark is not None:
            self._steps += 1
            self._row_steps += 1
            self._seconds += now - self._mark
            self._row_seconds += now - self._mark
        self._mark = now

    def restart(self) -> None:
        """Call when training goes on after something that is no part of a step."""
        self._mark = time.monotonic() if self._mark is not None else None

    def take_rate(self) -> float | None:
        """Tokens per second since the last call, or None where no step was measured."""
        rate = self._rate(self._row_steps, self._row_seconds)
        self._row_steps, self._row_seconds = 0, 0.0
        return rate

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens per second of all measured steps."""
        return self._rate(self._steps, self._seconds)

    def _rate(self, steps: int, seconds: float) -> float | None:
        return round(steps * self.tokens_per_step / seconds, 1) if seconds else None

    @property
    def step_seconds(self) -> float | None:
        """Mean time of all measured steps."""
        return round(self._seconds / self._steps, 4) if self._steps else None


def device_name() -> str:
    """The CUDA device, or `cpu`."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def peak_memory_bytes() -> int:
    """The most that this process has held: of the CUDA device, or without one of resident memory."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    # Linux counts in kibibytes, macOS in bytes: getrusage(2).
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def mfu(tokens_per_second: float | None, flops_per_token: int | None, num_devices: int) -> float | None:
    """The share of the devices' dense bf16 peak that training reaches; None on a device whose peak is not known."""
    peak = peak_flops_per_second(device_name())
    if not (tokens_per_second and flops_per_token and peak):
        return None
    return round(tokens_per_second * flops_per_token / (peak * num_devices), 4)


def step_speed(clock: StepClock, flops_per_token: int | None, num_devices: int) -> dict[str, Any]:
    """What a clock says of the steps since the last call: rate, seconds a step, MFU, and the peak of memory."""
    rate = clock.take_rate()
    return {
        "tokens_per_second": rate,
        "step_seconds": round(clock.tokens_per_step / rate, 4) if rate else None,
        "mfu": mfu(rate, flops_per_token, num_devices),
        "memory_bytes": peak_memory_bytes(),
    }
