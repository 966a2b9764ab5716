"""Who is using which artifacts of a store, so that none of them is removed, and who is building one.

    <store>/leases/<id>.json      what a run uses: written before it looks for any of it, renewed while it lives
    <store>/sweeps/<id>.json      what `pretrain gc` is about to remove: written before it looks for leases
    <store>/claims/<stage>-<fingerprint>.json   the lease of the one that builds an artifact, on a remote store

A run writes its lease and then reads the sweeps; a sweep writes its list and then reads the leases. Whatever the order,
one of the two sees the other: the sweep leaves the artifact alone, or the run waits until the sweep is over. That needs
a store in which a write is seen by every later read, as S3's is; no rename, no lock, no conditional write.

Whether the writer of such a file is alive is observed, not computed: a file that does not change for `SILENCE_SECONDS`
has lost its writer. No two clocks are compared, so a clock that jumps can make no one look dead.
"""

import contextlib
import json
import logging
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from pretrain.clock import now_seconds
from pretrain.errors import DamagedArtifactError, StoreError
from pretrain.filehash import cache_dir
from pretrain.store import Store, place_once, storage_errors

logger = logging.getLogger(__name__)

RENEWAL_SECONDS = 15.0
SILENCE_SECONDS = 60.0  # three renewals may fail
LEASES, SWEEPS, CLAIMS = "leases", "sweeps", "claims"


class Notice(BaseModel):
    """A file that one process keeps renewing; `beat` differs each time."""

    model_config = ConfigDict(frozen=True)

    id: str
    run_id: str | None
    host: str
    pid: int
    beat: int
    artifacts: list[str]


class Beacon:
    """Keeps one notice in a store renewed, from `with` to its end.

    Args:
        store: the store.
        folder: `leases` or `sweeps`.
        artifacts: keys of artifacts, or other names in the store.
        run_id: the run it is for.
        renewal_seconds: time between two writes.
    """

    def __init__(
        self,
        store: Store,
        folder: str,
        artifacts: Iterable[str],
        run_id: str | None = None,
        renewal_seconds: float = RENEWAL_SECONDS,
    ) -> None:
        self.id = uuid.uuid4().hex
        self.key = f"{folder}/{self.id}.json"
        self._store = store
        self._artifacts = sorted(artifacts)
        self._run_id = run_id
        self._renewal_seconds = renewal_seconds
        self._beat = 0
        self._written_at = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"pretrain-{folder}", daemon=True)

    def __enter__(self) -> "Beacon":
        self.write()
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(StoreError):  # it is found dead by its silence
            self._store.delete(self.key)

    def write(self) -> None:
        """Writes the notice once more."""
        self._beat += 1
        notice = Notice(
            id=self.id,
            run_id=self._run_id,
            host=platform.node(),
            pid=os.getpid(),
            beat=self._beat,
            artifacts=self._artifacts,
        )
        begun = now_seconds()
        self._store.write_bytes(self.key, notice.model_dump_json().encode())
        self._written_at = begun

    def is_overdue(self) -> bool:
        """Whether others may have begun to think that this process is dead: it was stopped, or its store was away."""
        return now_seconds() - self._written_at > SILENCE_SECONDS / 2

    def _renew(self) -> None:
        while not self._ended.wait(self._renewal_seconds):
            if self.is_overdue():
                logger.warning("%s was not renewed in time: this process was stopped or its store away", self.key)
            try:
                self.write()
            except StoreError as error:
                logger.warning("%s could not be renewed: %s", self.key, error)


@contextlib.contextmanager
def leased(store: Store, artifacts: Iterable[str], run_id: str | None = None) -> Iterator[Beacon]:
    """Keeps artifacts, there already or to come, from being removed by `pretrain gc` while the block runs.

    Waits for a sweep that is removing one of them. To be entered before any of them is looked for.
    """
    keys = set(artifacts)
    with Beacon(store, LEASES, keys, run_id) as lease:
        _wait_for_sweeps(store, keys)
        yield lease


def _wait_for_sweeps(store: Store, keys: set[str]) -> None:
    watch = Watch(store)
    told = False
    while True:
        sweeps = [sweep for sweep in watch.living(SWEEPS) if keys & set(sweep.artifacts)]
        if not sweeps:
            return
        if not told:
            logger.warning("waiting for `pretrain gc` on %s, which is removing what this run needs", sweeps[0].host)
            told = True
        time.sleep(0.5)


class Watch:
    """Tells the living among the writers of notices, by watching whether these change."""

    def __init__(self, store: Store, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._store = store
        self._silence_seconds = silence_seconds
        self._seen: dict[str, tuple[bytes, float]] = {}

    def living(self, folder: str) -> list[Notice]:
        """The notices of a folder whose writers are not known to be dead: all of them at the first look."""
        return [notice for notice, is_alive in self._look(folder) if is_alive]

    def dead(self, folder: str) -> list[str]:
        """Keys of the notices that did not change for `silence_seconds` of being watched."""
        return [f"{folder}/{notice.id}.json" for notice, is_alive in self._look(folder) if not is_alive]

    def is_alive(self, key: str) -> bool:
        """Whether the notice at a key is there and its writer is not known to be dead."""
        data = self._store.read_many([key]).get(key)
        return data is not None and self._changes(key, data)

    def _look(self, folder: str) -> Iterator[tuple[Notice, bool]]:
        for key, data in self._store.read_many(sorted(self._store.list_sizes(folder))).items():
            with contextlib.suppress(ValidationError):
                yield Notice.model_validate_json(data), self._changes(key, data)

    def _changes(self, key: str, data: bytes) -> bool:
        known = self._seen.get(key)
        if known is None or known[0] != data:
            self._seen[key] = (data, now_seconds())
            return True
        return now_seconds() - known[1] < self._silence_seconds


@contextlib.contextmanager
def claimed(
    store: Store, artifact_key: str, lease: Beacon, poll_seconds: float = 2.0, machine: str | None = None
) -> Iterator[None]:
    """Held by one lease at a time, so that two machines do not build one artifact twice.

    Advisory: where two ask in the same moment of a server that does not honour If-None-Match, both get it. Then both
    build the same bytes to the same keys. A claim whose lease is dead is taken over.

    Args:
        store: a remote store.
        artifact_key: the artifact.
        lease: the lease of this process.
        poll_seconds: time between two looks at another's claim.
        machine: `machine_id()`, where the caller holds `store.exclusive(artifact_key)`: whoever of this machine made
            a claim is dead then, and the rerun of a killed run waits for no one.
    """
    key = f"{CLAIMS}/{artifact_key.replace('/', '-')}.json"
    own = json.dumps({"lease": lease.id, "machine": machine}).encode()
    _claim(store, key, own, poll_seconds, machine)
    try:
        yield
    finally:
        with contextlib.suppress(StoreError):
            if _read(store, key) == own:
                store.delete(key)


def machine_id() -> str:
    """Stands for all processes that share the locks of this machine: an id that is kept beside them in the cache."""
    path = cache_dir() / "locks" / "machine"
    with storage_errors("writing", str(path)):
        with contextlib.suppress(FileNotFoundError):
            return path.read_text()
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{uuid.uuid4().hex}")
        fresh.write_text(uuid.uuid4().hex)
        try:
            place_once(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
        return path.read_text()


def _claim(store: Store, key: str, own: bytes, poll_seconds: float, machine: str | None) -> None:
    watch = Watch(store)
    told = False
    while True:
        found = _read(store, key)
        if found is None and store.create_bytes(key, own):
            found = _read(store, key)  # of two that a server let through, the last one has it
        if found == own:
            return
        if found is None:
            continue
        claim = _parsed(found)
        is_of_this_machine = bool(machine) and claim.get("machine") == machine
        if is_of_this_machine or not watch.is_alive(f"{LEASES}/{claim.get('lease')}.json"):
            if _read(store, key) == found:
                store.delete(key)
            continue
        if not told:
            logger.warning("waiting for another machine that builds %s", key.removeprefix(f"{CLAIMS}/")[:-5])
            told = True
        time.sleep(poll_seconds)


def _read(store: Store, key: str) -> bytes | None:
    try:
        return store.read_bytes(key)
    except FileNotFoundError:
        return None
    except DamagedArtifactError:
        store.delete(key)
        return None


def _parsed(claim: bytes) -> dict[str, Any]:
    try:
        value: Any = json.loads(claim)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
