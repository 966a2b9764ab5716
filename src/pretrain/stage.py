"""What a stage is to the engine, and how its units of work are computed once and committed.

A stage is a pure function from input artifacts and its own config to one artifact. It cuts its work into units and
hands them to `StageContext.run_units`; a unit runs in a worker process, writes files through `UnitFiles.create` and
returns counts. When all its files are in place, its receipt (`receipts/<unit>.json`: files with sizes and sha256, and
counts) is written: a unit with a valid receipt is never computed again, by a retry or by a rerun.
Files under `scratch/` carry data between phases of a stage; they are no part of the artifact and go at the end.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pretrain.artifact import Artifact, PartRecord
from pretrain.config import Config
from pretrain.external import ExternalInput
from pretrain.filehash import FileHashes, HashedFile, sha256_of_file
from pretrain.fingerprint import canonical_json
from pretrain.progress import Progress
from pretrain.runner import Runner
from pretrain.store import Store, space_errors

C = TypeVar("C", bound=Config)
P = TypeVar("P")

_NUM_LOOKS_AT_ONCE = 16

# Counts of one unit by name; nested for counts by reason or source.
Stats = dict[str, Any]


class Receipt(BaseModel):
    """A completed unit: the files it wrote and what it counted."""

    model_config = ConfigDict(frozen=True)

    unit: str
    files: list[PartRecord]
    stats: dict[str, Any]


@dataclass
class OutputFile:
    """A file being written. Write to `path` (local), or from start to end to `open()`; set `rows` to its records."""

    path: Path
    rows: int = 0
    opened: HashedFile | None = None

    def open(self) -> HashedFile:
        """The file, to be written from start to end: its sha256 is taken on the way, and it is not read again."""
        self.opened = HashedFile(self.path)
        return self.opened

    def sha256(self, num_bytes: int) -> str:
        """The sha256 of the file of this size: as it was written, or else by reading it."""
        opened = self.opened
        return opened.sha256() if opened and opened.tell() == num_bytes else sha256_of_file(self.path)


@dataclass
class UnitFiles:
    """The files of one unit, in a worker: what it writes is committed whole, one file at a time."""

    store: Store
    artifact_key: str
    written: list[PartRecord] = field(default_factory=list)

    @contextlib.contextmanager
    def create(self, path: str) -> Iterator[OutputFile]:
        """A file of the artifact at `path` (`data/part-00000.parquet`), committed when the block ends well."""
        key = f"{self.artifact_key}/{path}"
        output = OutputFile(self.store.scratch_file(key))
        place = f"{self.store.url}/{key}" if self.store.is_local else str(output.path)  # what is full: the cache
        try:
            with space_errors("writing", place):
                yield output
                if output.opened is not None:
                    output.opened.close()  # what it still holds belongs to the file
            size = output.path.stat().st_size
            record = PartRecord(path=path, bytes=size, rows=output.rows, sha256=output.sha256(size))
            self.store.put_file(output.path, key, sha256=record.sha256)
        except BaseException:
            output.path.unlink(missing_ok=True)
            raise
        _remember(self.store, key, record)
        self.written.append(record)

    def scratch(self, path: str) -> Path:
        """A local path to a file that an earlier phase of this stage wrote under `scratch/`."""
        return self.store.local_file(f"{self.artifact_key}/{path}")


@dataclass(frozen=True)
class _Job(Generic[P]):
    store: Store
    artifact_key: str
    unit: str
    function: Callable[[UnitFiles, P], Stats]
    payload: P


@dataclass(frozen=True)
class StageContext(Generic[C]):
    """All that a stage may see: its config, its inputs, where to write, and who does the work.

    `inputs` are artifacts by role (`documents`, `shard`, `tokenizer`, ...), `external` is outside content by name.
    `receipts` collects the units that this build asked for; their files become the parts of the artifact.
    """

    stage: str
    config: C
    seed: int
    inputs: Mapping[str, Artifact]
    external: Mapping[str, ExternalInput]
    store: Store
    artifact_key: str
    runner: Runner
    progress: Progress
    receipts: dict[str, Receipt] = field(default_factory=dict)

    def run_units(
        self,
        units: Sequence[tuple[str, P]],
        function: Callable[[UnitFiles, P], Stats],
        *,
        label: str = "parts",
    ) -> list[Receipt]:
        """Computes the units that have no valid receipt yet, and returns all receipts in the order of `units`.

        Args:
            units: pairs of a unit's name (unique in the stage, usable as a file name) and its picklable payload.
            function: a module-level function of (files, payload) that returns the unit's counts.
            label: what the units are, for progress.
        """
        done = self._valid_receipts([name for name, _ in units])
        total = len(units)
        if total:
            self.progress(len(done), total, f"{len(done)}/{total} {label}")
        jobs = (
            (name, _Job(self.store, self.artifact_key, name, function, payload))
            for name, payload in units
            if name not in done
        )
        for name, receipt in self.runner.map(_run_job, jobs):
            done[name] = receipt
            self.progress(len(done), total, f"{len(done)}/{total} {label}")
        self.receipts.update(done)
        return [done[name] for name, _ in units]

    def run_here(self, name: str, function: Callable[[UnitFiles], Stats]) -> Receipt:
        """Computes one unit in this process, for work that has a child process of its own and reports progress.

        A valid receipt is returned as it is, as in `run_units`.
        """
        receipt = self.completed(name)
        if receipt is None:
            receipt = _commit(UnitFiles(self.store, self.artifact_key), name, function)
            self.receipts[name] = receipt
        return receipt

    def completed(self, name: str) -> Receipt | None:
        """The receipt of a unit that is done, which makes its files part of the artifact; else None."""
        known = self._valid_receipts([name])
        self.receipts.update(known)
        return known.get(name)

    def _valid_receipts(self, names: Sequence[str]) -> dict[str, Receipt]:
        sizes = self.store.list_sizes(self.artifact_key)
        keys = {name: _receipt_key(self.artifact_key, name) for name in names}
        found = self.store.read_many(key for key in keys.values() if key in sizes)
        receipts = {}
        for name, key in keys.items():
            with contextlib.suppress(ValidationError):
                receipts[name] = Receipt.model_validate_json(found.get(key, b""))
        files = {f"{self.artifact_key}/{file.path}": file for receipt in receipts.values() for file in receipt.files}
        complete = {key: file for key, file in files.items() if sizes.get(key) == file.bytes}
        intact = _intact(self.store, complete)
        return {
            name: receipt
            for name, receipt in receipts.items()
            if all(intact.get(f"{self.artifact_key}/{file.path}") == file.sha256 for file in receipt.files)
        }


def sum_stats(receipts: Sequence[Receipt]) -> Stats:
    """Adds the counts of units by name, those nested by reason or source one by one; nested names are sorted."""
    total: Stats = {}
    for receipt in receipts:
        _add_counts(total, receipt.stats)
    return {name: _sorted(value) for name, value in total.items()}


def _add_counts(total: Stats, counts: Mapping[str, Any]) -> None:
    for name, value in counts.items():
        if isinstance(value, Mapping):
            _add_counts(total.setdefault(name, {}), value)
        else:
            total[name] = total.get(name, 0) + value


def _sorted(value: Any) -> Any:
    return {name: _sorted(value[name]) for name in sorted(value)} if isinstance(value, dict) else value


def part_name(index: int) -> str:
    """`part-00000`: the name of the unit and of the files of part `index`."""
    return f"part-{index:05d}"


def _run_job(job: _Job[Any]) -> Receipt:
    files = UnitFiles(job.store, job.artifact_key)
    return _commit(files, job.unit, lambda files: job.function(files, job.payload))


def _commit(files: UnitFiles, unit: str, function: Callable[[UnitFiles], Stats]) -> Receipt:
    stats = function(files)
    receipt = Receipt(unit=unit, files=files.written, stats=stats)
    data = canonical_json(receipt.model_dump(mode="json")).encode()
    files.store.write_bytes(_receipt_key(files.artifact_key, unit), data)
    return receipt


def _receipt_key(artifact_key: str, unit: str) -> str:
    return f"{artifact_key}/receipts/{unit}.json"


def _intact(store: Store, files: Mapping[str, PartRecord]) -> dict[str, str]:
    """Of files of the right size, the sha256 of each that is there with it: by its bytes, or as it was put.

    Another machine may have built the same artifact with other bytes of the same size, and this receipt with it.
    """
    found: Mapping[str, str | None]
    if store.is_local:
        hashes = FileHashes()
        found = {key: hashes.sha256(store.local_file(key), settled_only=False) for key in files}
    else:
        with ThreadPoolExecutor(_NUM_LOOKS_AT_ONCE) as threads:
            recorded: Iterator[str | None] = threads.map(functools.partial(_recorded, store), files)
            found = dict(zip(files, recorded, strict=True))
    return {key: files[key].sha256 for key, sha256 in found.items() if sha256 in (None, files[key].sha256)}


def _recorded(store: Store, key: str) -> str | None:
    try:
        return store.recorded_sha256(key)
    except FileNotFoundError:  # removed by another run meanwhile
        return ""


def _remember(store: Store, key: str, part: PartRecord) -> None:
    if store.is_local:
        FileHashes().remember(store.local_file(key), part.sha256)
