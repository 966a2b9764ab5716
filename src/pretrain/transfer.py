"""A run, or one artifact, copied with all it was made from into another store.

Ancestors come first; of each artifact its parts, then the receipts of its units, then its manifest; the record of the
run comes last. Whatever interrupts it, the target holds finished artifacts and unfinished ones, as after a killed run,
and the same call goes on from there. A part counts once its sha256 was compared with the manifest on the way.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from pydantic import ValidationError

from pretrain.artifact import Artifact, Damage, Manifest, PartRecord, artifact_key, find_damage, read_manifest
from pretrain.catalog import find_artifact
from pretrain.errors import DamagedArtifactError, NotInStoreError, StoreError, StorePermissionError, UsageError
from pretrain.filehash import FileHashes
from pretrain.leases import Beacon, claimed, leased, machine_id
from pretrain.runs import RunRecord, load_run, save_run
from pretrain.stage import Receipt
from pretrain.store import Store, removed_on_error

logger = logging.getLogger(__name__)

NUM_FILES_AT_ONCE = 8
_NUM_NAMED = 5  # damaged parts that an error lists by name


@dataclass(frozen=True)
class Transferred:
    """What a transfer did. `files` and `bytes` are those put: parts, receipts and manifests, not the run's record."""

    run_id: str | None
    source: str
    target: str
    artifacts_copied: int
    artifacts_present: int
    files: int
    bytes: int


def transfer(source: Store, target: Store, name: str, on_progress: Callable[[int, int], None]) -> Transferred:
    """Copies a run, or one artifact, with its whole lineage.

    Args:
        source: where it is. It is only read, but for a lease, which a source that allows no writing goes without.
        target: where it is to be. What is there whole already is left as it is.
        name: a run id, `latest`, or `<stage>/<fingerprint>`, where the beginning of the fingerprint is enough.
        on_progress: told the bytes of parts done so far and in all; called from several threads, one at a time.

    Raises:
        NotInStoreError: the source has no such run or artifact, or not all that it was made from.
        UsageError: the target has other content under the same fingerprint or run id, or is the source.
        DamagedArtifactError: parts of the source differ from its manifest. The intact parts were copied.
    """
    if source == target:
        raise UsageError(f"{source.url} is both where to copy from and where to copy to: name two stores")
    record = None if "/" in name else load_run(source, name)
    run_id = record.run_id if record is not None else None
    asked, planned = ([find_artifact(source, name).key], []) if record is None else _artifacts_of(record)
    with _leased_if_allowed(source, [*asked, *planned], run_id):  # a lease keeps the ancestors as well
        manifests = _with_ancestors(source, asked, planned)
        with leased(target, manifests, run_id) as lease:
            is_record_wanted = record is not None and _is_missing(target, record)
            todo = [manifest for manifest in manifests.values() if not _is_whole(target, manifest)]
            tally = _Tally(sum(part.bytes for manifest in todo for part in manifest.parts), on_progress)
            num_copied = sum(_copy_artifact(source, target, manifest, lease, tally) for manifest in todo)
            if record is not None and is_record_wanted:
                save_run(target, record.model_copy(update={"store": target.url}))
    num_present = len(manifests) - num_copied
    return Transferred(run_id, source.url, target.url, num_copied, num_present, tally.num_files, tally.num_bytes)


class _Tally:
    """Counts what was done, for several threads."""

    def __init__(self, total_bytes: int, on_progress: Callable[[int, int], None]) -> None:
        self.num_files = self.num_bytes = 0
        self._done_bytes, self._total_bytes = 0, total_bytes
        self._on_progress = on_progress
        self._lock = threading.Lock()

    def advance(self, num_bytes: int) -> None:
        """So many bytes of parts are done, copied or found."""
        with self._lock:
            self._done_bytes += num_bytes
            self._on_progress(self._done_bytes, self._total_bytes)

    def count(self, num_bytes: int) -> None:
        """One file was put."""
        with self._lock:
            self.num_files += 1
            self.num_bytes += num_bytes


def _artifacts_of(record: RunRecord) -> tuple[list[str], list[str]]:
    """The artifacts that a run has, and those it set out to have, which need not be there."""
    asked = [artifact_key(stage.stage, stage.fingerprint) for stage in record.stages]
    return asked, [key for key in (artifact_key(*names) for names in record.planned.items()) if key not in asked]


@contextlib.contextmanager
def _leased_if_allowed(store: Store, keys: Iterable[str], run_id: str | None) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(leased(store, keys, run_id))
        except StorePermissionError:
            logger.warning("%s allows no lease: a `pretrain gc` there now may remove what is being copied", store.url)
        yield


def _with_ancestors(source: Store, asked: Iterable[str], planned: Iterable[str]) -> dict[str, Manifest]:
    """The manifests of artifacts and of all that they were made from, each after its inputs."""
    found: dict[str, Manifest] = {}

    def visit(key: str, why: str) -> None:
        stage, _, fingerprint = key.partition("/")
        manifest = found.get(key) or read_manifest(source, stage, fingerprint)
        if manifest is None:
            raise NotInStoreError(f"{source.url} has no finished {key}, {why}: run the recipe there again first")
        for record in manifest.inputs:
            if key not in found and ":" not in record.stage:
                visit(artifact_key(record.stage, record.fingerprint), f"which {key} was made from")
        found[key] = manifest

    for key in asked:
        visit(key, "which is to be copied")
    for key in planned:
        if read_manifest(source, *key.split("/")) is not None:
            visit(key, "which is to be copied")
    return found


def _is_missing(target: Store, record: RunRecord) -> bool:
    """Whether the target has no record of a run, or one from before the run ended."""
    try:
        there = load_run(target, record.run_id)
    except NotInStoreError:
        return True
    if (there.started, there.recipe) != (record.started, record.recipe):
        raise UsageError(f"{target.url} has another run {record.run_id}, started {there.started}: nothing was copied")
    return there.state == "running"


def _is_whole(target: Store, manifest: Manifest) -> bool:
    there = read_manifest(target, manifest.stage, manifest.fingerprint)
    if there is None:
        return False
    _require_equal(target, manifest, there)
    return not find_damage(Artifact(target, there), FileHashes(), rehash=False)


def _require_equal(target: Store, manifest: Manifest, there: Manifest) -> None:
    ours, theirs = manifest.content(), there.content()
    if ours != theirs:
        differing = ", ".join(name for name in ours if ours[name] != theirs[name])
        key = artifact_key(manifest.stage, manifest.fingerprint)
        raise UsageError(
            f"{target.url} has another {key} (it differs in {differing}), which is never overwritten: "
            "remove it there first, or copy into another store"
        )


def _copy_artifact(source: Store, target: Store, manifest: Manifest, lease: Beacon, tally: _Tally) -> bool:
    """Whether the artifact was copied; not where another process finished it in the meantime."""
    key = artifact_key(manifest.stage, manifest.fingerprint)
    with contextlib.ExitStack() as held:
        held.enter_context(target.exclusive(key))
        if not target.is_local:
            held.enter_context(claimed(target, key, lease, machine=machine_id()))
        if _is_whole(target, manifest):
            tally.advance(sum(part.bytes for part in manifest.parts))
            return False
        target.delete(f"{key}/manifest.json")  # of a damaged one, which must not look finished meanwhile
        receipts = _usable_receipts(source, manifest)
        sizes = target.list_sizes(key)
        present = _drop_other_receipts(
            target, receipts, (name for name in sizes if name.startswith(f"{key}/receipts/"))
        )
        with ThreadPoolExecutor(NUM_FILES_AT_ONCE) as threads:
            try:
                copy_part = partial(_copy_part, source, target, key, sizes, tally)
                damage = [found for found in threads.map(copy_part, manifest.parts) if found is not None]
                _require_none(damage, source, target, key)
                new = {name: data for name, data in receipts.items() if name not in present}
                list(threads.map(target.write_bytes, new.keys(), new.values()))
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        for data in new.values():
            tally.count(len(data))
        _finish(target, manifest, tally)
        ours = {f"{key}/{part.path}" for part in manifest.parts} | set(receipts)
        for name in set(sizes) - ours - {f"{key}/manifest.json"}:  # of a build that was not finished
            target.delete(name)
    return True


def _copy_part(
    source: Store, target: Store, key: str, sizes: Mapping[str, int], tally: _Tally, part: PartRecord
) -> Damage | None:
    """Copies a part unless the target has it; tells what is wrong with it in the source."""
    name = f"{key}/{part.path}"
    if sizes.get(name) == part.bytes and _has_part(target, name, part):
        tally.advance(part.bytes)
        return None
    scratch = target.scratch_file(name)
    with removed_on_error(scratch):
        try:
            # To a remote store the way is still to come.
            digest = source.copy_to(name, scratch, tally.advance if target.is_local else lambda num_bytes: None)
        except FileNotFoundError:
            return Damage(part.path, "missing")
        except DamagedArtifactError:
            return Damage(part.path, "wrong sha256")
        if digest != part.sha256:
            is_whole = scratch.stat().st_size == part.bytes
            scratch.unlink()
            return Damage(part.path, "wrong sha256" if is_whole else "wrong size")
        target.put_file(scratch, name)  # without its sha256, which would keep it in the cache of this machine
    if not target.is_local:
        tally.advance(part.bytes)
    tally.count(part.bytes)
    return None


def _has_part(target: Store, name: str, part: PartRecord) -> bool:
    """Whether the target has the bytes of a part: read of a local store, told by a remote one that keeps sha256s."""
    try:
        return (target.recorded_sha256(name) or target.digest(name)[0]) == part.sha256
    except (FileNotFoundError, DamagedArtifactError):
        return False


def _require_none(damage: list[Damage], source: Store, target: Store, key: str) -> None:
    if damage:
        names = ", ".join(f"{found.path} ({found.problem})" for found in damage[:_NUM_NAMED])
        more = f" and {len(damage) - _NUM_NAMED} more" if len(damage) > _NUM_NAMED else ""
        raise DamagedArtifactError(
            f"{source.url}/{key} is damaged: {names}{more}; run the recipe there again, which rebuilds what is damaged "
            f"alone, then repeat this command ({target.url} has the intact parts, and no manifest of it)"
        )


def _usable_receipts(source: Store, manifest: Manifest) -> dict[str, bytes]:
    """The receipts whose files are all parts; of the others, a rebuild has no use without the scratch files."""
    key = artifact_key(manifest.stage, manifest.fingerprint)
    parts, usable = {part.path: part for part in manifest.parts}, {}
    for name, data in source.read_many(sorted(source.list_sizes(f"{key}/receipts"))).items():
        with contextlib.suppress(ValidationError):
            receipt = Receipt.model_validate_json(data)
            if all(parts.get(file.path) == file for file in receipt.files):
                usable[name] = data
    return usable


def _drop_other_receipts(target: Store, receipts: Mapping[str, bytes], names: Iterable[str]) -> set[str]:
    """Removes receipts that would vouch for other bytes than are copied next; returns those that are equal."""
    names = sorted(names)
    found = target.read_many(names)
    equal = {name for name in names if name in found and found[name] == receipts.get(name)}
    for name in set(names) - equal:
        target.delete(name)
    return equal


def _finish(target: Store, manifest: Manifest, tally: _Tally) -> None:
    key, data = artifact_key(manifest.stage, manifest.fingerprint), manifest.to_bytes()
    if target.is_local:
        hashes = FileHashes()
        for part in manifest.parts:
            hashes.remember(target.local_file(f"{key}/{part.path}"), part.sha256)
    if target.create_bytes(f"{key}/manifest.json", data):
        tally.count(len(data))
        return
    there = read_manifest(target, manifest.stage, manifest.fingerprint)
    if there is None:
        raise StoreError(f"{target.url}/{key} was written by someone else at the same time: run the same command again")
    _require_equal(target, manifest, there)
