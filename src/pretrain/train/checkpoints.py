"""Checkpoints that are complete or absent.

    <folder>/step-000100/complete.json      written last: step, and size and sha256 of every other file
    <folder>/step-000100/model.safetensors, optimizer.pt, ...
    <folder>/.scratch-<uuid>/               private to one process; gone with it, or removed by the next one

A checkpoint is written into the private folder, flushed to disk, marked, and renamed. Only marked ones whose
every byte is as marked are found again. One that lacks the optimizer's or the generators' state is not one:
training would go on with a fresh Adam and nobody would notice. (The Trainer's own discovery takes the highest
number as it is.)
"""

import contextlib
import fcntl
import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pretrain.errors import StageError
from pretrain.filehash import sha256_of_file
from pretrain.store import storage_errors

logger = logging.getLogger(__name__)

MARKER = "complete.json"
RECORD = "record.json"
# Without any of these a resume would differ from a run that was never interrupted.
REQUIRED = frozenset({"config.json", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", RECORD})
# A pickle of the arguments that nothing reads back.
_UNWANTED = "training_args.bin"


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint: the state after optimizer step `step`."""

    step: int
    path: Path

    @property
    def record(self) -> Path:
        """Its training record."""
        return self.path / RECORD


class CheckpointFolder:
    """The checkpoints of one training in a local folder, the newest `keep` of them."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def steps(self) -> list[int]:
        """Steps of the marked checkpoints, ascending; their bytes are not checked."""
        paths = self.folder.glob(f"step-*/{MARKER}")
        return sorted(int(path.parent.name.removeprefix("step-")) for path in paths)

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint whose every byte is as marked; damaged ones are passed over."""
        for step in reversed(self.steps()):
            problem = find_problem(self.path_of(step))
            if problem is None:
                return Checkpoint(step, self.path_of(step))
            logger.warning("checkpoint %s is passed over: %s", self.path_of(step), problem)
        return None

    def path_of(self, step: int) -> Path:
        """Where the checkpoint of a step is when it is complete."""
        return self.folder / f"step-{step:06d}"

    def seal(self, written: Path, step: int) -> Checkpoint:
        """Makes the files in `written` (a folder on the same file system) the checkpoint of `step`.

        Older checkpoints beyond the newest `keep` are removed after it is complete. When another process has
        completed the same step, the files are discarded.

        Raises:
            StageError: a file that an exact resume needs is missing.
            StoreError: the disk failed or is full.
        """
        with storage_errors("writing", str(self.path_of(step))):
            (written / _UNWANTED).unlink(missing_ok=True)
            _mark(written, step)
            problem = find_problem(written, rehash=False)
            if problem is not None:
                raise StageError(
                    f"the checkpoint of step {step} cannot be resumed from: {problem}; "
                    "the installed transformers does not write what this version of pretrain expects"
                )
            with _locked(self.folder / ".lock"):  # else one's half-removed folder is another's damaged one
                self._place(written, step)
                self._remove_old()
        return Checkpoint(step, self.path_of(step))

    def _place(self, written: Path, step: int) -> None:
        target = self.path_of(step)
        try:
            written.rename(target)
        except OSError:  # it exists: another process was faster, or an older attempt's is damaged
            if find_problem(target) is None:
                shutil.rmtree(written)
                return
            _remove(target)
            written.rename(target)
        _flush(self.folder)

    def _remove_old(self) -> None:
        for step in self.steps()[: -self.keep]:
            _remove(self.path_of(step))

    @contextlib.contextmanager
    def private(self) -> Iterator[Path]:
        """A scratch folder for this process alone; those of processes that were killed are removed first."""
        with storage_errors("writing", str(self.folder)):
            self.folder.mkdir(parents=True, exist_ok=True)
            with _locked(self.folder / ".lock"):
                self._remove_abandoned()
                scratch = self.folder / f".scratch-{uuid.uuid4().hex}"
                scratch.mkdir()
                owner = _lock(scratch / "owner", fcntl.LOCK_EX)
        try:
            yield scratch
        finally:
            owner.close()
            shutil.rmtree(scratch, ignore_errors=True)

    def _remove_abandoned(self) -> None:
        for scratch in [*self.folder.glob(".scratch-*"), *self.folder.glob(".removed-*")]:
            try:
                _lock(scratch / "owner", fcntl.LOCK_EX | fcntl.LOCK_NB).close()
            except (BlockingIOError, FileNotFoundError):  # its process lives, or has just removed it
                continue
            shutil.rmtree(scratch, ignore_errors=True)


def find_problem(path: Path, *, rehash: bool = True) -> str | None:
    """What keeps the folder `path` from being a complete checkpoint, or None.

    Args:
        path: the folder.
        rehash: compare the sha256 of every file as well as its size.
    """
    try:
        marker: dict[str, Any] = json.loads((path / MARKER).read_text(encoding="utf-8"))
        files: dict[str, dict[str, Any]] = marker["files"]
    except (FileNotFoundError, ValueError, KeyError) as error:
        return f"its {MARKER} is missing or unreadable ({error})"
    missing = REQUIRED - files.keys()
    if missing:
        return f"it has no {', '.join(sorted(missing))}"
    if not any(name.endswith(".safetensors") for name in files):
        return "it has no weights (*.safetensors)"
    for name, known in files.items():
        file = path / name
        if not file.is_file():
            return f"{name} is missing"
        if file.stat().st_size != known["bytes"]:
            return f"{name} has {file.stat().st_size} bytes instead of {known['bytes']}"
        if rehash and sha256_of_file(file) != known["sha256"]:
            return f"{name} differs from its sha256"
    return None


def _mark(path: Path, step: int) -> None:
    files = {}
    (path / MARKER).unlink(missing_ok=True)  # of a copy that was fetched
    for file in sorted(path.iterdir()):
        _flush(file)
        files[file.name] = {"bytes": file.stat().st_size, "sha256": sha256_of_file(file)}
    (path / MARKER).write_text(json.dumps({"step": step, "files": files}, indent=1), encoding="utf-8")
    _flush(path / MARKER)
    _flush(path)


def _remove(path: Path) -> None:
    # Renamed first, so that half a removal never looks like a checkpoint.
    removed = path.with_name(f".removed-{uuid.uuid4().hex}")
    with contextlib.suppress(FileNotFoundError):
        path.rename(removed)
    shutil.rmtree(removed, ignore_errors=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(path: Path, operation: int) -> IO[str]:
    file = path.open("w")
    try:
        fcntl.flock(file, operation)
    except BaseException:
        file.close()
        raise
    return file


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with _lock(path, fcntl.LOCK_EX):
        yield
