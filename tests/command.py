"""The `pretrain` command as a user runs it: a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

# The command's own entry point; what a terminal of the tests has set of Prefect must not leak into it.
COMMAND = [sys.executable, "-m", "flows.main"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}


class Ended(NamedTuple):
    """How a command ended: its exit code, its stdout (parsed where it is JSON) and its stderr."""

    code: int
    out: Any
    text: str
    errors: str


def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    """Starts the command in a session of its own, so that a test can kill all of it."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**ENVIRONMENT, "PRETRAIN_CACHE_DIR": os.environ["PRETRAIN_CACHE_DIR"], **environment},
    )


def finish(process: subprocess.Popen[str], timeout_seconds: float = 280.0) -> Ended:
    """Waits for a started command."""
    text, errors = process.communicate(timeout=timeout_seconds)
    try:
        out = json.loads(text.splitlines()[-1])
    except (ValueError, IndexError):
        out = None
    return Ended(process.returncode, out, text, errors)


def pretrain(*arguments: str | Path, timeout_seconds: float = 280.0, **environment: str) -> Ended:
    """Runs the command to its end."""
    return finish(start(*arguments, **environment), timeout_seconds)
