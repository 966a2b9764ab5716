"""Losses that leap out of those before them."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Spike:
    """A loss far above those of the steps before it.

    Attributes:
        step: the step.
        loss: its loss, in nats per token.
        mean: of the losses of the window before it.
        sigmas: how many of their standard deviations it is above that.
    """

    step: int
    loss: float
    mean: float
    sigmas: float

    def __str__(self) -> str:
        return f"the loss of step {self.step} is {self.loss:.4g}, {self.sigmas:.1f} sigma above {self.mean:.4g}"


class RollBack(Exception):  # no error: the way out of the Trainer to an earlier checkpoint
    """Training is to go back to before `spike`, whose step was not taken."""

    def __init__(self, spike: Spike) -> None:
        super().__init__(str(spike))
        self.spike = spike


def find_spike(step: int, loss: float, earlier: list[float], window_steps: int, sigma: float) -> Spike | None:
    """The spike that `loss` is, judged by the last `window_steps` losses before it; None before there are so many.

    The rule is that of OLMo-core's StabilityMonitor (6 sigma, 128 steps): above mean + sigma * standard deviation.
    """
    window = earlier[-window_steps:]
    if len(window) < window_steps:
        return None
    mean = math.fsum(window) / window_steps
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in window) / (window_steps - 1))
    if deviation == 0 or loss <= mean + sigma * deviation:
        return None
    return Spike(step, loss, mean, (loss - mean) / deviation)
