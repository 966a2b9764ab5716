"""How fast training goes: from a clock, so no part of what is compared between runs."""

import time

# Dense bf16 FLOP/s of the makers' data sheets. A device that is not here has no MFU: a guess would be worse.
_PEAK_FLOPS_PER_SECOND = {
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H200": 989e12,
    "A100": 312e12,
    "B200": 2250e12,
}


def peak_flops_per_second(device_name: str) -> float | None:
    """The dense bf16 peak of a CUDA device by its name, or None for one that is not known."""
    for part, peak in _PEAK_FLOPS_PER_SECOND.items():
        if part in device_name:
            return peak
    return None


class StepClock:
    """Measures the time of optimizer steps, without validation, saving and the process's first step.

    The first step allocates memory and compiles, so it says nothing about those after it.
    """

    def __init__(self, tokens_per_step: int) -> None:
        self._tokens_per_step = tokens_per_step
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
        return round(steps * self._tokens_per_step / seconds, 1) if seconds else None
