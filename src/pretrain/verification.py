"""Every byte of a store against its manifests, several files at once."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from pretrain.artifact import Artifact, PartRecord, artifact_key, parse_manifest
from pretrain.dag import NODES
from pretrain.errors import DamagedArtifactError, StoreError, StorePermissionError, StoreVersionError
from pretrain.filehash import FileHashes
from pretrain.store import Store

NEWER = "of a newer version of pretrain"
_PROBLEMS = {"missing", "wrong size", "wrong sha256", "unreadable"}
NUM_FILES_AT_ONCE = 8  # hashing leaves the interpreter's lock, and waiting for a server costs nothing


@dataclass(frozen=True)
class Finding:
    """One file that is not what it should be: a part, or a manifest that is none."""

    artifact: str
    path: str
    problem: str


def open_all(store: Store, keys: Sequence[str] | None = None) -> tuple[list[Artifact], list[Finding]]:
    """The finished artifacts, and the manifests that cannot be read as such.

    Args:
        store: the store.
        keys: names of artifacts; None for all.
    """
    if keys is None:
        keys = [artifact_key(node.name, name) for node in NODES for name in store.list_folders(node.name)]
    artifacts, findings = [], []
    found = store.read_many(f"{key}/manifest.json" for key in keys)
    for key in keys:
        data = found.get(f"{key}/manifest.json")
        try:
            if data is None:
                data = store.read_bytes(f"{key}/manifest.json")
            manifest = parse_manifest(data, key, store.url)
        except FileNotFoundError:
            continue  # a build that was not finished
        except StoreVersionError:
            findings.append(Finding(key, "manifest.json", NEWER))
            continue
        except DamagedArtifactError:
            manifest = None
        if manifest is None:
            findings.append(Finding(key, "manifest.json", "not valid"))
        else:
            artifacts.append(Artifact(store, manifest))
    return artifacts, findings


def verify(artifacts: Sequence[Artifact], on_bytes: Callable[[int], None]) -> Iterator[Finding]:
    """Reads every byte of every part, without keeping copies; yields what differs.

    Args:
        artifacts: what to read.
        on_bytes: told the size of each part that was looked at.
    """
    hashes = FileHashes()
    with ThreadPoolExecutor(NUM_FILES_AT_ONCE) as threads:
        try:
            waiting = {
                threads.submit(_digest, artifact, part): (artifact, part)
                for artifact in artifacts
                for part in artifact.manifest.parts
            }
            for done in as_completed(waiting):
                artifact, part = waiting[done]
                digest = done.result()
                key = f"{artifact.key}/{part.path}"
                if artifact.store.is_local and digest not in _PROBLEMS:
                    hashes.remember(artifact.store.local_file(key), digest)
                on_bytes(part.bytes)
                if digest != part.sha256:
                    problem = digest if digest in _PROBLEMS else "wrong sha256"
                    yield Finding(artifact.key, part.path, problem)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def remove_damaged(artifacts: Sequence[Artifact], findings: Sequence[Finding]) -> list[Finding]:
    """Removes the parts that were found damaged and still are; returns their findings.

    A listing shows sizes alone: in a remote store only a missing part is sure to be built again.
    """
    by_key = {artifact.key: artifact for artifact in artifacts}
    removed = []
    for found in findings:
        artifact = by_key.get(found.artifact)
        if artifact is None or found.problem == "missing":
            continue
        part = artifact.part(found.path)
        if _digest(artifact, part) != part.sha256:  # not rebuilt by a run in the meantime
            artifact.store.delete(f"{artifact.key}/{part.path}")
            removed.append(found)
    return removed


def _digest(artifact: Artifact, part: PartRecord) -> str:
    """The sha256 of a part's bytes, or what keeps them from having one."""
    try:
        digest, num_bytes = artifact.store.digest(f"{artifact.key}/{part.path}")
    except FileNotFoundError:
        return "missing"
    except DamagedArtifactError:
        return "wrong sha256"
    except StorePermissionError:
        raise
    except StoreError:
        if not artifact.store.is_local:  # it is away: nothing is known of this part or of the next
            raise
        return "unreadable"  # a sector of the disk
    return digest if num_bytes == part.bytes else "wrong size"
