"""Copies of complete checkpoints in a remote store, so that another machine can go on.

    <store>/train/<fingerprint>/checkpoints/step-000100/...     files first, complete.json last

A copy is made in the background while training goes on, and one that fails is replaced by the next: training
needs only the local folder. Where training ends early, the newest checkpoint is copied before its error goes on.
"""

import logging
import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from pretrain.errors import StoreError
from pretrain.store import Store
from pretrain.train.checkpoints import MARKER, RECORD, CheckpointFolder, find_problem
from pretrain.train.record import TrainingRecord

logger = logging.getLogger(__name__)


class CheckpointCopies:
    """The copies of one folder of checkpoints under `key` of a store. Use as a context manager.

    Args:
        store: a remote store.
        key: the folder of the copies.
        checkpoints: the local folder; the same steps are kept of the copies as of it.
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
        """Fetches the newest copy that is valid and newer than every valid local checkpoint, and those that stay."""
        local = self.checkpoints.newest()
        for step in reversed(self.steps()):
            if (local is not None and step <= local.step) or self._fetch(step):
                break
        newest = self.checkpoints.newest()
        if newest is not None:
            staying = self.checkpoints.retention.lasting(self.steps(), self._best_step(newest.path))
            for step in set(staying) - set(self.checkpoints.steps()):
                self._fetch(step)

    def copy(self, step: int) -> None:
        """Copies the local checkpoint of `step` in the background; one that still waits gives way to it."""
        if self._waiting is not None:
            self._waiting.cancel()
        future = self._thread.submit(self._copy, step)
        stays = self.checkpoints.retention.lasting([step], self._best_step(self.checkpoints.path_of(step)))
        self._waiting = None if stays else future

    def steps(self) -> list[int]:
        """Steps of the marked copies, ascending."""
        marked = [key for key in self.store.list_sizes(self.key) if key.endswith(f"/{MARKER}")]
        return sorted(int(key.split("/")[-2].removeprefix("step-")) for key in marked)

    def close(self) -> None:
        """Waits for the copy at work, and drops one that still waits."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> "CheckpointCopies":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        newest = self.checkpoints.newest() if kind is not None else None
        if newest is not None:  # training goes on from it, perhaps on another machine
            self.copy(newest.step)
            self._thread.shutdown(wait=True)
        self.close()

    def _fetch(self, step: int) -> bool:
        """Makes the copy of `step` a local checkpoint; whether it is valid."""
        folder = self.scratch / f"fetched-{step}"
        folder.mkdir()
        for key in sorted(self.store.list_sizes(self._folder_of(step))):
            shutil.move(self.store.local_file(key), folder / Path(key).name)
        problem = find_problem(folder)
        if problem is None:
            self.checkpoints.seal(folder, step, best_step=self._best_step(folder))
            return True
        logger.warning("the copy of checkpoint %d in %s is passed over: %s", step, self.store.url, problem)
        shutil.rmtree(folder)
        return False

    def _best_step(self, checkpoint: Path) -> int | None:
        is_needed = self.checkpoints.retention.keeps_best and (checkpoint / RECORD).is_file()
        return TrainingRecord.load(checkpoint / RECORD).best_step() if is_needed else None

    def _copy(self, step: int) -> None:
        source = self.checkpoints.path_of(step)
        try:
            best_step = self._best_step(source)
            names = sorted(file.name for file in source.iterdir() if file.name != MARKER)
            for name in [*names, MARKER]:
                link = self.scratch / f"copy-{step}-{name}"
                os.link(source / name, link)  # the store takes a file away when it has put it
                self.store.put_file(link, f"{self._folder_of(step)}/{name}")
            steps = self.steps()
            for old in set(steps) - self.checkpoints.retention.kept(steps, best_step):
                self.store.delete(f"{self._folder_of(old)}/{MARKER}")  # first, or half a copy would look whole
                self.store.delete(self._folder_of(old))
        except (StoreError, FileNotFoundError) as error:  # not found: training has moved on and removed it
            logger.warning("checkpoint %d was not copied to %s: %s; training goes on", step, self.store.url, error)

    def _folder_of(self, step: int) -> str:
        return f"{self.key}/{self.checkpoints.path_of(step).name}"
