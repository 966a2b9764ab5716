"""How fast training goes: from a clock, so no part of what is compared between runs."""

import time


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
