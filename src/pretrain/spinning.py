"""How long the compute threads of a process spin before they sleep: an environment variable, read when torch loads.

A thread that has done its share of a loop waits for the others. Spinning, it goes on at once; asleep, it has to be
woken. But a thread that spins keeps a core from whoever could finish the work that is waited for. So it depends on
whether there is a core for each thread. Tokens a second of the demo's training on two cores:

    spins            alone    beside one busy process    a smaller loop at a load of 4 to 5
    0 (no spinning)  6,470    3,950                      3,570
    2,000            7,270    3,640                      2,410
    20,000           7,740    1,890                      1,330
    300,000          7,440      450                                 libgomp's own

No result depends on it: the work is shared out in the same way.
"""

import os
import time
from pathlib import Path

from pretrain.runner import usable_cores

VARIABLE = "GOMP_SPINCOUNT"
# Who sets one of them has chosen.
_CHOICES = (VARIABLE, "OMP_WAIT_POLICY")

# So many where there is a core for each thread, where one is missing, and where more are.
_WITH_ROOM, _ONE_CORE_SHORT, _CROWDED = 20_000, 2_000, 0
_SAMPLE_SECONDS = 0.2  # 20 ticks of a core's clock in /proc/stat
_BUSY_CORES_IGNORED = 0.5  # an idle machine has some tenths of a core; one busy process has a whole one


def spin_environment(num_threads: int) -> dict[str, str]:
    """What the environment of a process that is started now should have, besides this process's own.

    The cores of this process are watched for 0.2 s, so start it when this process has nothing else to do.

    Args:
        num_threads: compute threads that will run at once, over all processes that are started.
    """
    if num_threads == 1 or any(name in os.environ for name in _CHOICES):
        return {}
    cores = usable_cores()
    before = _read_ticks()
    time.sleep(_SAMPLE_SECONDS)
    return {VARIABLE: str(spin_count(num_threads, len(cores), busy_cores(before, _read_ticks(), cores)))}


def spin_count(num_threads: int, num_cores: int, num_busy: float) -> int:
    """How often a thread spins before it sleeps.

    Args:
        num_threads: threads that will run at once.
        num_cores: cores that they may use.
        num_busy: how many of these other processes keep busy, 0 to `num_cores`.
    """
    missing = num_threads + num_busy - num_cores - _BUSY_CORES_IGNORED
    return _WITH_ROOM if missing <= 0 else _ONE_CORE_SHORT if missing <= 1 else _CROWDED


def busy_cores(before: str, after: str, cores: set[int]) -> float:
    """How many of the cores were busy between two readings of /proc/stat; 0 where it says nothing.

    Source: proc(5): per core, ticks as user, nice, system, idle, iowait, ...
    """
    earlier, busy = _ticks_by_core(before), 0.0
    for core, (idle, total) in _ticks_by_core(after).items():
        idle_before, total_before = earlier.get(core, (idle, total))
        if core in cores and total > total_before:
            busy += 1 - (idle - idle_before) / (total - total_before)
    return busy


def _ticks_by_core(text: str) -> dict[int, tuple[int, int]]:
    """Idle and all ticks of each core."""
    found = {}
    for line in text.splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdigit():
            ticks = [int(field) for field in fields[:8]]  # those of guests are in `user` already
            found[int(name[3:])] = (ticks[3] + ticks[4], sum(ticks))
    return found


def _read_ticks() -> str:
    try:
        return Path("/proc/stat").read_text(encoding="ascii")
    except OSError:  # no Linux, where libgomp is not what threads wait in
        return ""
