"""A request to stop in good order: SIGTERM, which spot machines, Slurm, Kubernetes and a cancelled flow send."""

import signal
import threading
from types import FrameType
from typing import Any

# EX_TEMPFAIL of sysexits.h: training stopped as it was asked to, after a checkpoint; the same job resumes.
STOPPED_STATUS = 75


class StopRequest:
    """Whether this process was sent SIGTERM since `listen`, or in a `with` block. Nothing is interrupted by it.

    The step at work is finished and saved. Saved in its middle, a step is replayed with generators that have moved on.
    """

    def __init__(self) -> None:
        self.is_made = False
        self._before: Any = None

    def listen(self) -> None:
        """Listens from now on, to the end of a process that ends afterwards: a second SIGTERM may come meanwhile."""
        if threading.current_thread() is threading.main_thread():  # elsewhere Python has no handlers
            self._before = signal.signal(signal.SIGTERM, self._note)

    def __enter__(self) -> "StopRequest":
        self.listen()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.is_made = True


class Stopped(Exception):  # no error: what was asked for
    """Training stopped after `step` as it was asked to; that step is in the newest checkpoint."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.step = step
