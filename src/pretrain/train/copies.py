"""Copies of complete checkpoints in a remote store, so that another machine can go on.

    <store>/train/<fingerprint>/checkpoints/step-000100/...     files first, complete.json last

A copy is made in the background while training goes on, and one that fails is replaced by the next: training
needs only the local folder.
"""

import logging
import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from pretrain.errors import StoreError
from pretrain.store import Store
from pretrain.train.checkpoints import MARKER, CheckpointFolder, find_problem

logger = logging.getLogger(__name__)


class CheckpointCopies:
    """The copies of one folder of checkpoints under `key` of a store. Use as a context manager.

    Args:
        store: a remote store.
        key: the folder of the copies.
        checkpoints: the local folder; as many copies are kept as it keeps checkpoints.
        scratch: a private local folder on the file system of the checkpoints.
    """

    def __init__(self, store: Store, key: str, checkpoints: CheckpointFolder, scratch: Path) -> None:
        self.store = store
        self.key = key
        self.checkpoints = checkpoints
        self.scratch = scratch
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._waiting: Future[None] | None = None

    def fetch_newest(self) -> None:
        """Fetches the newest copy that is valid and newer than every valid local checkpoint."""
        local = self.checkpoints.newest()
        for step in reversed(self.steps()):
            if local is not None and step <= local.step:
                return
            folder = self.scratch / f"fetched-{step}"
            folder.mkdir()
            for key in sorted(self.store.list_sizes(self._folder_of(step))):
                shutil.move(self.store.local_file(key), folder / Path(key).name)
            problem = find_problem(folder)
            if problem is None:
                self.checkpoints.seal(folder, step)
                return
            logger.warning("the copy of checkpoint %d in %s is passed over: %s", step, self.store.url, problem)
            shutil.rmtree(folder)

    def copy(self, step: int) -> None:
        """Copies the local checkpoint of `step` in the background; one that still waits gives way to it."""
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = self._thread.submit(self._copy, step)

    def steps(self) -> list[int]:
        """Steps of the marked copies, ascending."""
        marked = [key for key in self.store.list_sizes(self.key) if key.endswith(f"/{MARKER}")]
        return sorted(int(key.split("/")[-2].removeprefix("step-")) for key in marked)

    def close(self) -> None:
        """Waits for the copy at work, and drops one that still waits."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> "CheckpointCopies":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _copy(self, step: int) -> None:
        source = self.checkpoints.path_of(step)
        try:
            names = sorted(file.name for file in source.iterdir() if file.name != MARKER)
            for name in [*names, MARKER]:
                link = self.scratch / f"copy-{step}-{name}"
                os.link(source / name, link)  # the store takes a file away when it has put it
                self.store.put_file(link, f"{self._folder_of(step)}/{name}")
            for old in self.steps()[: -self.checkpoints.keep]:
                self.store.delete(f"{self._folder_of(old)}/{MARKER}")
                self.store.delete(self._folder_of(old))
        except (StoreError, FileNotFoundError) as error:  # not found: training has moved on and removed it
            logger.warning("checkpoint %d was not copied to %s: %s; training goes on", step, self.store.url, error)

    def _folder_of(self, step: int) -> str:
        return f"{self.key}/{self.checkpoints.path_of(step).name}"
