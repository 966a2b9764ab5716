"""Runs training and evaluation as processes of their own, and hears from them by JSON lines.

The child is `python -m <module> <job.json>` in a new session, so that it and everything it starts can be ended
together. It writes events as JSON lines to stdout; its stderr is kept as a tail for the error message and logged. It
ends when its stdin closes: that is how it learns that its parent was killed, with no signal and no orphan. It then
removes the job's temporary folder, as the parent cannot any more.
"""

import collections
import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from pretrain.errors import SubprocessError
from pretrain.filehash import torch_cache
from pretrain.store import space_errors
from pretrain.temporary import temporary_folder

logger = logging.getLogger(__name__)

# Below Prefect's 30 s between SIGTERM and SIGKILL, so that a cancelled flow still ends its children.
END_GRACE_SECONDS = 20.0
_STDERR_TAIL_LINES = 30
_JOB_FOLDER = "pretrain-job-"
_CHILD_ENVIRONMENT = {
    "PYTHONSAFEPATH": "1",  # a datasets.py in the user's folder must not stand in for the library
}


@contextlib.contextmanager
def job_folder() -> Iterator[Path]:
    """A temporary folder for a job and its output, removed at the end, also when this process is killed.

    Raises:
        StoreFullError: there is no space for what the block writes to it.
    """
    with temporary_folder(_JOB_FOLDER) as folder:
        yield folder


def run_job(
    module: str,
    job: Mapping[str, Any],
    folder: Path,
    on_event: Callable[[dict[str, Any]], None],
    *,
    environment: Mapping[str, str] | None = None,
    silence_seconds: float | None = None,
) -> None:
    """Runs `python -m module job.json` to its end.

    Args:
        module: a module that calls `end_with_parent` and `read_job` first.
        job: the JSON-able description of the work.
        folder: where it is written for the child: a `job_folder`, or one that is removed by other means.
        on_event: called with every JSON object that the child writes as a line to stdout, in this thread.
        environment: variables added to this process's own.
        silence_seconds: end the child when it has written no event for so long; None waits for ever.

    Raises:
        SubprocessError: the child exited with another status than 0, was killed, or was silent for too long.
        StoreFullError: there is no space for the job.
    """
    path = folder / "job.json"
    with space_errors("writing", str(path)):
        path.write_text(json.dumps(job))
    child = subprocess.Popen(
        [sys.executable, "-m", module, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
        env={**torch_cache(), **os.environ, **_CHILD_ENVIRONMENT, **(environment or {})},
    )
    tail: collections.deque[str] = collections.deque(maxlen=_STDERR_TAIL_LINES)
    heard = _Heard()
    try:
        with (
            _threads(_follow_stderr, child, tail),
            _threads(_end_when_silent, child, heard, silence_seconds),
        ):
            for event in _events(child.stdout, heard):
                on_event(event)
            status = child.wait()
    except BaseException:
        end_group(child)
        raise
    if status != 0:
        raise SubprocessError(_describe(module, status, heard, tail))


def end_group(child: subprocess.Popen[str]) -> None:
    """Ends a child and everything in its session: SIGTERM, a grace, then SIGKILL."""
    for number, grace_seconds in ((signal.SIGTERM, END_GRACE_SECONDS), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace_seconds)
            break


def read_job(arguments: list[str]) -> dict[str, Any]:
    """The job that `run_job` wrote, in the child."""
    job: dict[str, Any] = json.loads(Path(arguments[1]).read_text())
    return job


def emit(event: str, **values: Any) -> None:
    """Writes one event to the parent, in the child."""
    sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


def end_with_parent() -> None:
    """Ends this process, and its session, when the parent that started it is gone. Call first in the child."""
    threading.Thread(target=_wait_for_parent_end, daemon=True).start()


def _wait_for_parent_end() -> None:
    while os.read(0, 4096):  # not sys.stdin: its lock, held by this thread, would abort a normal exit
        pass
    folder = Path(sys.argv[-1]).parent
    if folder.name.startswith(_JOB_FOLDER):
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(os.getpgid(0), signal.SIGKILL)
    os._exit(1)


class _Heard:
    """When the child was last heard from, and whether it was ended for its silence."""

    def __init__(self) -> None:
        self.at = time.monotonic()
        self.ended_after_seconds: float | None = None


def _events(stdout: IO[str] | None, heard: _Heard) -> Iterator[dict[str, Any]]:
    for line in stdout or ():
        heard.at = time.monotonic()
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict) and "event" in event:
            yield event
        else:  # a library printed something
            logger.debug("%s", line.rstrip())


def _follow_stderr(child: subprocess.Popen[str], tail: collections.deque[str]) -> None:
    for line in child.stderr or ():
        tail.append(line.rstrip())
        logger.debug("%s", line.rstrip())


def _end_when_silent(child: subprocess.Popen[str], heard: _Heard, silence_seconds: float | None) -> None:
    while silence_seconds is not None and child.poll() is None:
        silent_for = time.monotonic() - heard.at
        if silent_for > silence_seconds:
            heard.ended_after_seconds = silent_for
            end_group(child)
            return
        time.sleep(min(1.0, silence_seconds / 4))


@contextlib.contextmanager
def _threads(target: Callable[..., None], *arguments: Any) -> Iterator[None]:
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    yield
    thread.join(timeout=5)


def _describe(module: str, status: int, heard: _Heard, tail: collections.deque[str]) -> str:
    if heard.ended_after_seconds is not None:
        cause = f"was ended after {heard.ended_after_seconds:.0f} s without a sign of life"
    elif status < 0:
        cause = f"was killed by {signal.Signals(-status).name}"
    else:
        cause = f"ended with status {status}"
    lines = "\n".join(f"    {line}" for line in tail)
    return f"{module} {cause}; the same command resumes. The end of its log:\n{lines or '    (nothing)'}"
