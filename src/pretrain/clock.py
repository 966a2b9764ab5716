"""The clock that durations and ages are measured by."""

import time


def now_seconds() -> float:
    """A clock that no one sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
