"""The main text of web pages, found in a process of its own, which a page may hang, kill or fill without harm.

The child is `python -m pretrain.download.extraction_worker`. It takes one page at a time over a pipe and lives for as
many as it survives; then another takes its place. It ends when its stdin closes, so it never outlives its parent.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time

from pretrain.download.extraction_worker import LENGTH, NO_TEXT
from pretrain.download.html_config import HtmlOptions
from pretrain.download.records import UnusableRecordError
from pretrain.errors import SubprocessError

WORKER = "pretrain.download.extraction_worker"
# By the clock, times the CPU time that a page may take: a page that computes ends by that, one that waits by this.
_PATIENCE = 10
_START_SECONDS = 300.0  # imports on a machine under load
_CHILD_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",  # the order of a set must not decide what is kept
    "PYTHONSAFEPATH": "1",  # a lxml.py in the user's folder must not stand in for the library
    "OMP_NUM_THREADS": "1",
}


class _EndedError(Exception):
    """The child ended, or was ended."""


class TextExtractor:
    """Main text of pages by the extractor of a source; its child starts with the first page. Use as a context manager.

    Args:
        options: of the source.
        worker: the module that is run; it speaks as `extraction_worker` does.
    """

    def __init__(self, options: HtmlOptions, worker: str = WORKER) -> None:
        self._options = options
        self._worker = worker
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "TextExtractor":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._end()

    @property
    def pid(self) -> int:
        """The process that will take the next page; 0 before the first and after a loss."""
        return self._child.pid if self._child else 0

    def extract(self, html: str) -> str | None:
        """The main text of a page, or None where there is none.

        Raises:
            UnusableRecordError: `extract_timeout` or `extract_failed`.
            SubprocessError: the extractor cannot be started.
        """
        child = self._child or self._start()
        ends_at = time.monotonic() + _PATIENCE * self._options.timeout_seconds
        try:
            self._send(child, html.encode("utf-8", "replace"))
            return self._receive(child, ends_at)
        except TimeoutError:
            self._end()
            raise UnusableRecordError("extract_timeout") from None
        except (_EndedError, BrokenPipeError):
            status = self._end()
            reason = "extract_timeout" if status == -signal.SIGPROF else "extract_failed"
            raise UnusableRecordError(reason) from None

    def _start(self) -> subprocess.Popen[bytes]:
        options = json.dumps(self._options.model_dump())
        child = subprocess.Popen(
            [sys.executable, "-m", self._worker, options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries complain of every odd page
            env={**os.environ, **_CHILD_ENVIRONMENT},
            start_new_session=True,  # Ctrl-C is for the parent
        )
        self._child = child
        try:
            self._receive(child, time.monotonic() + _START_SECONDS)
        except (_EndedError, TimeoutError):
            status = self._end()
            raise SubprocessError(
                f"{self._worker} did not start (status {status}); run `python -m {self._worker} '{options}'` to see "
                f"why, and raise html.memory_bytes ({self._options.memory_bytes}) where it is for memory"
            ) from None
        return child

    def _send(self, child: subprocess.Popen[bytes], page: bytes) -> None:
        if child.stdin is not None:
            child.stdin.write(LENGTH.pack(len(page)) + page)
            child.stdin.flush()

    def _receive(self, child: subprocess.Popen[bytes], ends_at: float) -> str | None:
        (length,) = LENGTH.unpack(_read_exactly(child, LENGTH.size, ends_at))
        if length == NO_TEXT:
            return None
        return _read_exactly(child, length, ends_at).decode("utf-8")

    def _end(self) -> int | None:
        """Ends the child; its exit status."""
        child, self._child = self._child, None
        if child is None:
            return None
        with contextlib.suppress(BrokenPipeError):  # what it did not read
            if child.stdin is not None:
                child.stdin.close()
        if child.poll() is None:
            child.kill()
        status = child.wait()
        if child.stdout is not None:
            child.stdout.close()
        return status


def _read_exactly(child: subprocess.Popen[bytes], num_bytes: int, ends_at: float) -> bytes:
    """Bytes of the child's answer. Raises TimeoutError, _EndedError."""
    pipe = -1 if child.stdout is None else child.stdout.fileno()
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    parts: list[bytes] = []
    while num_bytes:
        if not poll.poll(max(0.0, ends_at - time.monotonic()) * 1000):
            raise TimeoutError
        data = os.read(pipe, num_bytes)
        if not data:
            raise _EndedError
        parts.append(data)
        num_bytes -= len(data)
    return b"".join(parts)
