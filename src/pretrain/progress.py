"""How a stage says how far it is; the terminal and the Prefect UI listen, and nothing depends on either."""

import logging
import time
from typing import Protocol

logger = logging.getLogger("pretrain.progress")


class Progress(Protocol):
    """Told now and then how much of a stage is done."""

    def __call__(self, done: int, total: int, text: str) -> None:
        """`done` of `total` units (parts, steps), and a short text such as `step 40/100 loss 3.2`."""


class LoggedProgress:
    """Reports to the logger `pretrain.progress`, at most once a second and at the end.

    Handlers find `stage`, `done` and `total` on the record.
    """

    interval_seconds = 1.0

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._reported_at = -self.interval_seconds

    def __call__(self, done: int, total: int, text: str) -> None:
        now = time.monotonic()
        if now - self._reported_at < self.interval_seconds and done < total:
            return
        self._reported_at = now
        extra = {"stage": self.stage, "done": done, "total": total}
        logger.info("%s: %s", self.stage, text, extra=extra)
