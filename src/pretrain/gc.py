"""What of a store no kept run refers to, and its removal while runs go on.

Marked, and so kept: what the kept runs name (finished or not), what living leases name, and everything that these were
made from. Of the rest, what has not been written to for a grace period goes: artifacts, builds that were not finished,
scratch files, records of older runs, and what interrupted writes left behind. Folders of other programs stay.
"""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pretrain.artifact import read_manifest
from pretrain.dag import NODES
from pretrain.errors import NotInStoreError, StoreError
from pretrain.leases import CLAIMS, LEASES, SILENCE_SECONDS, SWEEPS, Beacon, Notice, Watch
from pretrain.runs import RunRecord, list_run_ids, load_run
from pretrain.store import Entry, Store

# Beside living runs, what a write left is theirs unless it is so old; without any, unless it is of this moment.
UNFINISHED_BESIDE_RUNS_SECONDS = 86400.0
UNFINISHED_SECONDS = 60.0
_STAGES = {node.name for node in NODES}
_ARTIFACT_IN_PATH = re.compile(rf"(?:^|/)((?:{'|'.join(sorted(_STAGES))})/[0-9a-f]{{16,64}})(?:/|$)")

Kind = Literal["artifact", "unfinished build", "scratch files", "run record", "interrupted write", "dead notice"]


@dataclass(frozen=True)
class Keep:
    """What to keep: the newest `num_runs` runs, runs by name, and all that is younger than `grace_seconds`."""

    num_runs: int
    run_ids: tuple[str, ...] = ()
    grace_seconds: float = 86400.0


@dataclass(frozen=True)
class Garbage:
    """One thing that no one needs: an artifact, a file or an upload by its name in the store."""

    kind: Kind
    name: str
    num_files: int
    bytes: int
    age_seconds: float


@dataclass(frozen=True)
class Survey:
    """What a store holds, told apart: the runs kept, the artifacts in use, and the garbage."""

    runs: list[str]
    kept: set[str]
    garbage: list[Garbage]
    num_young: int
    num_living: int

    @property
    def bytes(self) -> int:
        """Bytes of all garbage."""
        return sum(item.bytes for item in self.garbage)


def survey(store: Store, keep: Keep, watch: Watch, now: float, unfinished_seconds: float | None = None) -> Survey:
    """Tells what can go. Reads only.

    Args:
        store: the store.
        keep: what is to stay.
        watch: knows which leases are dead.
        now: the present by the store's own clock (Unix time).
        unfinished_seconds: age from which an interrupted write counts as one; None asks whether anyone is at work.

    Raises:
        StoreError: the record of a run to be kept cannot be read, so that no one knows what it refers to.
        NotInStoreError: there is no run of a name to be kept.
        StoreVersionError: an artifact that is in use was written by a newer version of pretrain, so that what it was
            made from may be told in words that this one does not know.
    """
    leases = watch.living(LEASES)
    records = _kept_runs(store, keep, leases)
    kept = _marked(store, records, leases)
    entries = store.list_entries("")
    found = [
        *_artifacts(entries, kept, now),
        *_scratch(entries, {key for lease in leases for key in lease.artifacts}, now),
    ]
    found += _records(entries, {record.run_id for record in records}, now)
    old = [item for item in found if item.age_seconds >= keep.grace_seconds]
    num_young = len(found) - len(old)
    if unfinished_seconds is None:
        unfinished_seconds = UNFINISHED_BESIDE_RUNS_SECONDS if leases else UNFINISHED_SECONDS
    least = max(keep.grace_seconds, unfinished_seconds)
    old += [item for item in _unfinished(store, now) if item.age_seconds >= least]
    old += _dead_notices(store, watch, entries, now)
    return Survey([record.run_id for record in records], kept, old, num_young, len(leases))


def collect(
    store: Store,
    keep: Keep,
    on_removed: Callable[[Garbage], None],
    *,
    watch: Watch | None = None,
    unfinished_seconds: float | None = None,
) -> list[Garbage]:
    """Removes the garbage and returns it; safe beside runs, also those that begin meanwhile.

    Args:
        store: the store.
        keep: what is to stay.
        on_removed: told after each removal.
        watch: one that has looked already knows the dead sooner.
        unfinished_seconds: as in `survey`.
    """
    watch = watch or Watch(store)
    removed: list[Garbage] = []
    with Beacon(store, SWEEPS, []) as clock:
        now = store.list_entries(SWEEPS)[clock.key].modified or time.time()
        doomed = survey(store, keep, watch, now, unfinished_seconds)
    with Beacon(store, SWEEPS, [item.name for item in doomed.garbage]) as sweep:
        # From here on, a run that begins sees this sweep; one that began before is seen now.
        seen = survey(store, keep, watch, now, unfinished_seconds)
        for item in doomed.garbage:
            if sweep.is_overdue():
                raise StoreError(
                    f"gc was stopped for too long to be sure what is in use; {len(removed)} of {len(doomed.garbage)} "
                    "were removed: run the same command again"
                )
            if item in seen.garbage:
                _remove(store, item)
                removed.append(item)
                on_removed(item)
    return removed


def suspects(store: Store, now: float) -> int:
    """How many leases look dead, by the store's clock; `Watch` finds out in `SILENCE_SECONDS`."""
    entries = store.list_entries(LEASES).values()
    return sum(entry.modified is None or now - entry.modified > SILENCE_SECONDS for entry in entries)


def _kept_runs(store: Store, keep: Keep, leases: Iterable[Notice]) -> list[RunRecord]:
    ids = list_run_ids(store)
    missing = sorted(set(keep.run_ids) - set(ids))
    if missing:
        raise NotInStoreError(f"no run {missing[0]!r} in {store.url}; `pretrain ls` lists the runs")
    wanted = {*ids[len(ids) - keep.num_runs :], *keep.run_ids} if keep.num_runs else set(keep.run_ids)
    wanted |= {lease.run_id for lease in leases if lease.run_id in ids}
    records = []
    for run_id in sorted(wanted):
        try:
            records.append(load_run(store, run_id))
        except NotInStoreError as error:
            raise StoreError(f"nothing was removed, as it is unknown what a run to keep refers to: {error}") from error
    return records


def _marked(store: Store, records: Iterable[RunRecord], leases: Iterable[Notice]) -> set[str]:
    todo = [key for lease in leases for key in lease.artifacts]
    for record in records:
        todo += [f"{stage.stage}/{stage.fingerprint}" for stage in record.stages]
        todo += [f"{stage}/{fingerprint}" for stage, fingerprint in record.planned.items()]
        todo += [match for text in _texts(record.recipe) for match in _ARTIFACT_IN_PATH.findall(text)]
    marked: set[str] = set()
    while todo:
        key = todo.pop()
        if key in marked:
            continue
        marked.add(key)
        stage, _, fingerprint = key.partition("/")
        manifest = read_manifest(store, stage, fingerprint)
        if manifest is not None:
            todo += [f"{record.stage}/{record.fingerprint}" for record in manifest.inputs if ":" not in record.stage]
    return marked


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)


def _artifacts(entries: Mapping[str, Entry], kept: set[str], now: float) -> Iterator[Garbage]:
    folders: dict[str, list[Entry]] = defaultdict(list)
    for key, entry in entries.items():
        stage, _, rest = key.partition("/")
        if stage in _STAGES and "/" in rest:
            folders[f"{stage}/{rest.partition('/')[0]}"].append(entry)
    for name, files in sorted(folders.items()):
        if name not in kept:
            kind: Kind = "artifact" if f"{name}/manifest.json" in entries else "unfinished build"
            yield _garbage(kind, name, files, now)


def _scratch(entries: Mapping[str, Entry], leased: set[str], now: float) -> Iterator[Garbage]:
    folders: dict[str, list[Entry]] = defaultdict(list)
    for key, entry in entries.items():
        name = "/".join(key.split("/")[:2])
        if key.startswith(f"{name}/scratch/") and f"{name}/manifest.json" in entries and name not in leased:
            folders[f"{name}/scratch"].append(entry)
    for name, files in sorted(folders.items()):
        yield _garbage("scratch files", name, files, now)


def _records(entries: Mapping[str, Entry], kept: set[str], now: float) -> Iterator[Garbage]:
    for key, entry in sorted(entries.items()):
        folder, _, name = key.partition("/")
        if folder == "runs" and name.endswith(".json") and name.removesuffix(".json") not in kept:
            yield _garbage("run record", key, [entry], now)


def _unfinished(store: Store, now: float) -> Iterator[Garbage]:
    for name, entry in sorted(store.list_unfinished().items()):
        yield _garbage("interrupted write", name, [entry], now)


def _dead_notices(store: Store, watch: Watch, entries: Mapping[str, Entry], now: float) -> Iterator[Garbage]:
    names = [name for folder in (LEASES, SWEEPS) for name in watch.dead(folder)]
    living = {lease.id for lease in watch.living(LEASES)}
    for name in sorted(key for key in entries if key.startswith(f"{CLAIMS}/")):
        claim = store.read_many([name]).get(name, b"").decode("utf-8", "replace")
        if not any(lease in claim for lease in living):
            names.append(name)
    for name in names:
        size = entries[name].bytes if name in entries else 0
        yield Garbage("dead notice", name, 1, size, SILENCE_SECONDS)


def _garbage(kind: Kind, name: str, files: Sequence[Entry], now: float) -> Garbage:
    # A file of unknown age counts as new: it stays.
    newest = max(now if entry.modified is None else entry.modified for entry in files)
    return Garbage(kind, name, len(files), sum(entry.bytes for entry in files), now - newest)


def _remove(store: Store, item: Garbage) -> None:
    if item.kind == "interrupted write":
        store.delete_unfinished(item.name)
        return
    if item.kind == "artifact":
        store.delete(f"{item.name}/manifest.json")  # first: what is half removed must not look finished
    store.delete(item.name)
