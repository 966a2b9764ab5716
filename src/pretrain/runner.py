"""Where units of work are processed: a pool of local processes.

Workers are never forked from this process (torch, polars and tokenizers run threads that do not survive a fork): on
Linux they are forked by the fork server of `multiprocessing`, which has loaded what they need and runs no Python thread
(`pretrain.worker_preload`); elsewhere they are spawned. Each is capped to one compute thread, and at most two units a
worker are in flight, so memory is bounded whatever the number of units. A worker that dies ends the map with an error
that names the units in flight; a dead parent ends its workers.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from typing import Any, Protocol, TypeVar

from pretrain.errors import WorkerDiedError
from pretrain.filehash import torch_cache

P = TypeVar("P")
R = TypeVar("R")

_UNITS_IN_FLIGHT_PER_WORKER = 2
_STARTS = 5
_START_PAUSE_SECONDS = 0.2
_SAFE_PATH = "PYTHONSAFEPATH"
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


_fork_server_lock = threading.Lock()


class Runner(Protocol):
    """Maps a function over payloads somewhere. Results never depend on which runner it is."""

    num_workers: int

    def map(self, function: Callable[[P], R], payloads: Iterable[tuple[str, P]]) -> Iterator[tuple[str, R]]:
        """Yields `(name, result)` as units complete, in any order.

        Args:
            function: a module-level function.
            payloads: pairs of a unit's name and its picklable argument; taken lazily.

        Raises:
            WorkerDiedError: a worker process was killed.
        """


class InlineRunner:
    """Runs units one after another in this process: for notebooks, debuggers and small tests."""

    num_workers = 1

    def map(self, function: Callable[[P], R], payloads: Iterable[tuple[str, P]]) -> Iterator[tuple[str, R]]:
        for name, payload in payloads:
            yield name, function(payload)


def usable_cores() -> set[int]:
    """The numbers of the CPU cores that this process may use: its affinity where the system has one, else all."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def num_usable_cores() -> int:
    """How many CPU cores this process may use."""
    return len(usable_cores())


def prepare_workers() -> None:
    """Has what workers need loaded beside what this process does next: it takes a second, once for all runners."""
    _start_fork_server()


def _start_fork_server() -> bool:
    """Whether there is one: not off Linux, nor where no socket can be made in the folder for temporary files."""
    if sys.platform != "linux":  # the system's own libraries of macOS do not survive a fork
        return False
    with _fork_server_lock:  # stages that run at once have runners of their own
        multiprocessing.set_forkserver_preload(["pretrain.worker_preload"])
        previous = os.environ.get(_SAFE_PATH)
        # Modules are looked for where they are installed: a folder `datasets` where the command runs is not one.
        os.environ[_SAFE_PATH] = "1"
        try:
            forkserver.ensure_running()
        except OSError:  # most often a path of more than the 107 bytes that a socket's may have
            return False
        finally:
            if previous is None:
                os.environ.pop(_SAFE_PATH, None)
            else:
                os.environ[_SAFE_PATH] = previous
    return True


class LocalRunner:
    """A pool of processes on this machine, started on first use. Use as a context manager."""

    def __init__(self, num_workers: int | None = None) -> None:
        self.num_workers = num_workers or num_usable_cores()
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()

    def map(self, function: Callable[[P], R], payloads: Iterable[tuple[str, P]]) -> Iterator[tuple[str, R]]:
        pending: dict[Future[R], str] = {}
        queue = iter(payloads)
        pool = self._start()
        try:
            while True:
                while len(pending) < _UNITS_IN_FLIGHT_PER_WORKER * self.num_workers:
                    try:
                        name, payload = next(queue)
                    except StopIteration:
                        break
                    pending[_submit(pool, function, payload)] = name
                if not pending:
                    return
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    yield pending.pop(future), result
        except BrokenProcessPool as error:
            self._discard(pool)
            names = ", ".join(sorted(pending.values())) or "none yet"
            raise WorkerDiedError(
                f"a worker process died while these units were in flight: {names}. Most often it was killed for "
                "memory: use fewer --workers; the same command resumes after the completed parts. In a script of "
                "your own, workers start only below `if __name__ == '__main__':`"
            ) from error
        finally:
            for future in pending:
                future.cancel()

    def close(self) -> None:
        """Ends the workers; units still waiting are dropped."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=True, cancel_futures=True)
                self._pool = None

    def __enter__(self) -> "LocalRunner":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _start(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = self._start_pool()
            return self._pool

    def _start_pool(self) -> ProcessPoolExecutor:
        environment = {**torch_cache(), **os.environ, **ONE_THREAD}
        for _ in range(_STARTS):
            pool = ProcessPoolExecutor(self.num_workers, _context(), _start_worker, (environment,))
            try:
                pool.submit(os.getpid)  # starts a worker
            except (EOFError, ConnectionError):  # the fork server was killed, which it may take a moment to be seen
                pool.shutdown(wait=False)
                time.sleep(_START_PAUSE_SECONDS)
            else:
                return pool
        raise WorkerDiedError(
            f"no worker could be started, {_STARTS} times: the process that workers are forked from ended. Most often "
            "it was killed for memory; or `python -c 'import pretrain.worker_preload'` says why"
        )

    def _discard(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is pool:
                self._pool = None
        pool.shutdown(wait=False, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, function: Callable[[P], R], payload: P) -> Future[R]:
    try:
        return pool.submit(function, payload)
    except (EOFError, ConnectionError) as error:  # the fork server was killed before it could start a worker
        raise BrokenProcessPool("the process that workers are forked from has ended") from error


def _context() -> BaseContext:
    return multiprocessing.get_context("forkserver" if _start_fork_server() else "spawn")


def _start_worker(environment: dict[str, str]) -> None:
    # The fork server's environment is that of its start. What is loaded with the first payload sees the caps.
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # Without this a worker waits for ever on its queue when the parent is killed with SIGKILL.
    parent: Any = multiprocessing.parent_process()
    with contextlib.suppress(OSError):
        parent.join()
    os._exit(1)
