"""A run of the command that is listened to, and killed as a machine or an operator would kill it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from tests.command import Ended, start

# `[3/10] dedup ...` while it is built, `[3/10] dedup      built in 3.1 s` or `cached` at its end.
_LINE = re.compile(r"^\[\d+/\d+\] (?P<stage>\w+) +(?P<state>\.\.\.|built|cached)")


class HeardRun:
    """`pretrain run --json` in a session of its own, its stderr read as it is written.

    Every process that it starts carries a mark in its environment, whichever session it is in.
    """

    def __init__(self, *arguments: str | Path, **environment: str) -> None:
        self.mark = uuid.uuid4().hex
        self.lines: list[str] = []
        self._states: dict[str, str] = {}
        self._changed = threading.Condition()
        self.process = self._start(*arguments, CHAOS_MARK=self.mark, **environment)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _start(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        # With the log on the console, the tests hear what training says: that it resumes, and after which step.
        environment = {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO", **environment}
        return start("run", *arguments, "--json", **environment)

    def state(self, stage: str) -> str | None:
        """What the run last said about a stage: `...` while it is built, `built`, `cached`, None before."""
        with self._changed:
            return self._states.get(stage)

    def building(self) -> list[str]:
        """The stages that are being built now."""
        with self._changed:
            return [stage for stage, state in self._states.items() if state == "..."]

    def wait_until(self, is_time: Callable[[], bool], timeout_seconds: float) -> bool:
        """Waits until `is_time`, asked at every line and 50 times a second; False when the run ended before."""
        deadline = time.monotonic() + timeout_seconds
        while not is_time():
            if self.process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                raise TimeoutError("the run did not get there:\n" + "\n".join(self.lines[-20:]))
            with self._changed:
                self._changed.wait(0.02)
        return True

    def stop(self, number: signal.Signals) -> None:
        """Sends a signal to the process group of the command, as a terminal or an operator does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def end(self, timeout_seconds: float = 280.0) -> Ended:
        """Waits for the end of the command."""
        text = self.process.stdout.read() if self.process.stdout else ""
        self.process.wait(timeout_seconds)
        self._reader.join(timeout=10)
        return Ended(self.process.returncode, json.loads(text) if text else None, text, "\n".join(self.lines))

    def survivors(self, grace_seconds: float) -> list[str]:
        """Command lines of processes of this run that are still alive after a grace."""
        deadline = time.monotonic() + grace_seconds
        while alive := _with_mark(self.mark):
            if time.monotonic() > deadline:
                return alive
            time.sleep(0.1)
        return []

    def _read(self) -> None:
        for line in self.process.stderr or ():
            with self._changed:
                self.lines.append(line.rstrip())
                if found := _LINE.match(line):
                    self._states[found["stage"]] = found["state"]
                self._changed.notify_all()


def _with_mark(mark: str) -> list[str]:
    alive = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended meanwhile
            is_zombie = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            if not is_zombie and f"CHAOS_MARK={mark}".encode() in (entry / "environ").read_bytes():
                alive.append((entry / "cmdline").read_text().replace("\0", " "))
    return alive
