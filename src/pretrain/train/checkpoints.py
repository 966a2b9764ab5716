"""Checkpoints that are complete or absent.

    <folder>/step-000100/complete.json      written last: step, and size and sha256 of every other file
    <folder>/step-000100/model.safetensors, optimizer.pt, ...
    <folder>/step-000100/optimizer-00001-of-00002.safetensors, ...    instead of optimizer.pt, of a sharded training
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
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pretrain.errors import StageError
from pretrain.filehash import sha256_of_file
from pretrain.store import storage_errors
from pretrain.train.config import TrainConfig

logger = logging.getLogger(__name__)

MARKER = "complete.json"
RECORD = "record.json"
OPTIMIZER = "optimizer.pt"
# Without any of these a resume would differ from a run that was never interrupted.
REQUIRED = frozenset({"config.json", OPTIMIZER, "scheduler.pt", "rng_state.pth", "trainer_state.json", RECORD})
# A pickle of the arguments that nothing reads back.
_UNWANTED = "training_args.bin"
_OPTIMIZER_SHARD = re.compile(r"optimizer-(\d{5})-of-(\d{5})\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint: the state after optimizer step `step`."""

    step: int
    path: Path

    @property
    def record(self) -> Path:
        """Its training record."""
        return self.path / RECORD

    @property
    def num_processes(self) -> int:
        """How many processes made it."""
        return max(1, len(list(self.path.glob("rng_state_*.pth"))))


@dataclass(frozen=True)
class Retention:
    """Which checkpoints are kept.

    Attributes:
        newest: so many of the newest.
        every_steps: those of multiples of it, for good; None keeps none for that.
        keeps_best: that of the lowest validation loss so far, where there is one.
        regular_steps: the newest of a multiple of it: where a loss spike takes training back to. None needs none.
    """

    newest: int
    every_steps: int | None = None
    keeps_best: bool = False
    regular_steps: int | None = None

    @classmethod
    def of(cls, config: TrainConfig) -> "Retention":
        """As a recipe says."""
        return cls(
            newest=config.keep_checkpoints,
            every_steps=config.keep_every_steps,
            keeps_best=config.keep_best,
            regular_steps=config.save_every_steps if config.spike_rollbacks else None,
        )

    def kept(self, steps: list[int], best_step: int | None) -> set[int]:
        """Those of the steps that are kept, `steps` ascending."""
        regular = [step for step in steps if self.regular_steps is not None and step % self.regular_steps == 0]
        return {*steps[-self.newest :], *regular[-1:], *self.lasting(steps, best_step)}

    def lasting(self, steps: list[int], best_step: int | None) -> list[int]:
        """Those whose models are kept when training has ended, ascending."""
        every = {step for step in steps if self.every_steps is not None and step % self.every_steps == 0}
        best = {step for step in steps if self.keeps_best and step == best_step}
        return sorted(every | best)


class CheckpointFolder:
    """The checkpoints of one training in a local folder, those that `keep` says, or so many of the newest."""

    def __init__(self, folder: Path, keep: int | Retention) -> None:
        self.folder = folder
        self.retention = Retention(keep) if isinstance(keep, int) else keep

    def steps(self) -> list[int]:
        """Steps of the marked checkpoints, ascending; their bytes are not checked."""
        paths = self.folder.glob(f"step-*/{MARKER}")
        return sorted(int(path.parent.name.removeprefix("step-")) for path in paths)

    def newest(self, *, before: int | None = None, multiple_of: int = 1) -> Checkpoint | None:
        """The newest checkpoint whose every byte is as marked; damaged ones are passed over.

        Args:
            before: only of steps below it.
            multiple_of: only of steps that are multiples of it.
        """
        for step in reversed(self.steps()):
            if step % multiple_of or (before is not None and step >= before):
                continue
            problem = find_problem(self.path_of(step))
            if problem is None:
                return Checkpoint(step, self.path_of(step))
            logger.warning("checkpoint %s is passed over: %s", self.path_of(step), problem)
        return None

    def path_of(self, step: int) -> Path:
        """Where the checkpoint of a step is when it is complete."""
        return self.folder / f"step-{step:06d}"

    def discard_after(self, step: int) -> None:
        """Removes the checkpoints of later steps: training goes on from `step` another way."""
        with _locked(self.folder / ".lock"):
            for later in self.steps():
                if later > step:
                    _remove(self.path_of(later))

    def seal(self, written: Path, step: int, *, best_step: int | None = None) -> Checkpoint:
        """Makes the files in `written` (a folder on the same file system) the checkpoint of `step`.

        Older checkpoints that are not to be kept are removed after it is complete. When another process has
        completed the same step, the files are discarded.

        Args:
            written: the folder; it is gone afterwards.
            step: the step.
            best_step: that of the lowest validation loss so far, if anything was validated.

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
                self._remove_old(best_step)
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

    def _remove_old(self, best_step: int | None) -> None:
        steps = self.steps()
        for step in set(steps) - self.retention.kept(steps, best_step):
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


def complete_random_states(written: Path, num_processes: int) -> None:
    """Sees that the generators' state of every process is there, and gives the first's the name that one process reads.

    Raises:
        StageError: one is missing.
    """
    if num_processes == 1:
        return
    states = [written / f"rng_state_{rank}.pth" for rank in range(num_processes)]
    missing = [state.name for state in states if not state.is_file()]
    if missing:
        raise StageError(f"the checkpoint {written.name} lacks {', '.join(missing)}, and cannot be resumed from")
    shutil.copyfile(states[0], written / "rng_state.pth")


def optimizer_shard_name(index: int, count: int) -> str:
    """The file that process `index` of `count`, from 0, writes its share of the optimizer's state to."""
    return f"optimizer-{index + 1:05d}-of-{count:05d}.safetensors"


def is_optimizer_shard(name: str) -> bool:
    """Whether a file of this name is a share of the optimizer's state, and no weights."""
    return _OPTIMIZER_SHARD.fullmatch(name) is not None


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
    missing = _missing(files.keys())
    if missing:
        return f"it has no {', '.join(sorted(missing))}"
    if not any(name.endswith(".safetensors") and not is_optimizer_shard(name) for name in files):
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


def _missing(names: Iterable[str]) -> set[str]:
    missing = set(REQUIRED) - set(names)
    counts = {int(found[2]) for name in names if (found := _OPTIMIZER_SHARD.fullmatch(name))}
    if counts:
        shards = {optimizer_shard_name(index, count) for count in counts for index in range(count)}
        missing = (missing - {OPTIMIZER}) | (shards - set(names))
    return missing


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
