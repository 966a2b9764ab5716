"""An artifact: an immutable folder in the store, described by a manifest that is written last.

    <store>/<stage>/<fingerprint>/manifest.json
    <store>/<stage>/<fingerprint>/data/part-00000.parquet ...

The manifest is the only cache gate: an artifact is done when its manifest is there and valid, and every part is
there with the size, and as far as is known the sha256, that the manifest says.
"""

import contextlib
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pretrain.errors import DamagedArtifactError, NotInStoreError, StorePermissionError, StoreVersionError
from pretrain.filehash import FileHashes, sha256_of_file
from pretrain.fingerprint import canonical_json
from pretrain.store import Store

SCHEMA_VERSION = 1


class PartRecord(BaseModel):
    """One file of an artifact. `rows` counts records (documents, ledger rows, sequences), 0 for other files."""

    model_config = ConfigDict(frozen=True)

    path: str
    bytes: int
    rows: int
    sha256: str


class InputRecord(BaseModel):
    """One input of an artifact: an artifact of `stage`, or outside content where `stage` has a colon."""

    model_config = ConfigDict(frozen=True)

    stage: str
    fingerprint: str


class Manifest(BaseModel):
    """What an artifact is, holds and came from. Everything but `provenance` takes part in equality."""

    model_config = ConfigDict(frozen=True)

    schema_version: int = SCHEMA_VERSION
    stage: str
    stage_version: int
    fingerprint: str
    inputs: list[InputRecord]
    config: dict[str, Any]
    parts: list[PartRecord]
    stats: dict[str, Any]
    provenance: dict[str, Any]

    def content(self) -> dict[str, Any]:
        """The manifest without provenance: equal for two runs of one recipe."""
        return self.model_dump(mode="json", exclude={"provenance"})

    def to_bytes(self) -> bytes:
        """The bytes of manifest.json."""
        return (canonical_json(self.model_dump(mode="json")) + "\n").encode()

    def reported_stats(self) -> dict[str, Any]:
        """The stats with what was measured on the clock (tokens_per_second, mfu), which provenance holds.

        Curves, which are lists, are left to those who read the manifest.
        """
        measured = self.provenance.get("measured", {})
        return {**self.stats, **{name: value for name, value in measured.items() if not isinstance(value, list)}}


@dataclass(frozen=True)
class Damage:
    """One part whose bytes are not what the manifest says."""

    path: str
    problem: Literal["missing", "wrong size", "wrong sha256"]


class Artifact:
    """A finished artifact in a store: bytes stay where they are.

    A pickle of it holds its name alone, and the manifest is read where it is asked for: with 10,000 parts it is 2 MB,
    and every unit of work carries its inputs.
    """

    def __init__(self, store: Store, manifest: Manifest) -> None:
        self.store = store
        self.stage = manifest.stage
        self.fingerprint = manifest.fingerprint
        self._manifest: Manifest | None = manifest

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_manifest": None}

    @property
    def manifest(self) -> Manifest:
        """What it holds and came from.

        Raises:
            DamagedArtifactError: in another process than it was opened in, when the store has it no more.
        """
        if self._manifest is None:
            self._manifest = _manifest_in(self.store, self.stage, self.fingerprint)
        return self._manifest

    @property
    def key(self) -> str:
        """`<stage>/<fingerprint>`: its folder in the store and its name on the command line."""
        return artifact_key(self.stage, self.fingerprint)

    def parts(self, folder: str = "data/") -> list[PartRecord]:
        """The parts whose path starts with `folder`, in order of path."""
        return [part for part in self.manifest.parts if part.path.startswith(folder)]

    def part(self, path: str) -> PartRecord:
        """The part at `path`.

        Raises:
            NotInStoreError: the artifact has no such part.
        """
        for part in self.manifest.parts:
            if part.path == path:
                return part
        raise NotInStoreError(f"{self.key} has no part {path!r}")

    def open_part(self, part: PartRecord | str) -> Path:
        """A local path to a part, its size and sha256 checked before any byte of it is used.

        The check of the sha256 is remembered by the file's stat, so a part is hashed once a machine.

        Raises:
            DamagedArtifactError: the part is missing or differs from the manifest.
        """
        record = self.part(part) if isinstance(part, str) else part
        key, hashes = f"{self.key}/{record.path}", FileHashes()
        try:
            path = self.store.local_file(key)
            problem = _problem_with(path, record, hashes, rehash=False, trust_size=False)
            if problem is not None and not self.store.is_local:  # the copy may be what is damaged
                path = self.store.local_file(key, fresh=True)
                problem = _problem_with(path, record, hashes, rehash=True, trust_size=False)
        except FileNotFoundError:
            problem = "missing"
        except DamagedArtifactError:
            problem = "wrong sha256"
        if problem is not None:
            if not self.store.is_local:
                with contextlib.suppress(StorePermissionError):  # who may only read is told all the same
                    self.store.delete(key)  # a listing shows sizes alone: only a missing part is sure to be rebuilt
            raise DamagedArtifactError(
                f"{self.key}/{record.path} is damaged ({problem}): run the same command again and only "
                f"this part is rebuilt; `pretrain verify {self.key}` lists all damage"
            )
        return path

    def open_folder(self, folder: str = "data/") -> Path:
        """A local folder holding every part under `folder`, each checked (a tokenizer, a model)."""
        paths = [self.open_part(part) for part in self.parts(folder)]
        if not paths:
            raise NotInStoreError(f"{self.key} has nothing under {folder!r}")
        depth = self.parts(folder)[0].path.removeprefix(folder).count("/")
        return paths[0].parents[depth]


@functools.lru_cache(maxsize=16)
def _manifest_in(store: Store, stage: str, fingerprint: str) -> Manifest:
    """A manifest, read once a process: one of a worker serves every unit."""
    manifest = read_manifest(store, stage, fingerprint)
    if manifest is None:
        raise DamagedArtifactError(
            f"{artifact_key(stage, fingerprint)} was removed from {store.url} while it was read: "
            "run the same command again"
        )
    return manifest


def artifact_key(stage: str, fingerprint: str) -> str:
    """The folder of an artifact in a store."""
    return f"{stage}/{fingerprint}"


def read_manifest(store: Store, stage: str, fingerprint: str, *, newer_too: bool = True) -> Manifest | None:
    """The manifest of an artifact, or None when there is none or it is not valid (an unfinished artifact).

    Args:
        store: the store.
        stage: the artifact's stage.
        fingerprint: the artifact's fingerprint.
        newer_too: whether one of a newer schema is an error; a listing passes over it.

    Raises:
        StoreVersionError: it was written by a newer version of pretrain.
    """
    key = artifact_key(stage, fingerprint)
    try:
        data = store.read_bytes(f"{key}/manifest.json")
    except (FileNotFoundError, DamagedArtifactError):
        return None
    return parse_manifest(data, key, store.url, newer_too=newer_too)


def read_manifests(store: Store, keys: Iterable[str]) -> list[Manifest]:
    """The manifests of the artifacts that are finished, read at once; those of a newer schema are passed over.

    Args:
        store: the store.
        keys: names of artifacts, `<stage>/<fingerprint>`.
    """
    names = {f"{key}/manifest.json": key for key in keys}
    found = store.read_many(names).items()
    manifests = (parse_manifest(data, names[name], store.url, newer_too=False) for name, data in found)
    return [manifest for manifest in manifests if manifest is not None]


def parse_manifest(data: bytes, key: str, url: str, *, newer_too: bool = True) -> Manifest | None:
    """The manifest of the artifact `key` in its bytes, or None; arguments and errors as in `read_manifest`."""
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError:
        return None
    if manifest.schema_version > SCHEMA_VERSION and not newer_too:
        return None
    if manifest.schema_version > SCHEMA_VERSION:
        raise StoreVersionError(
            f"{url}/{key} has manifest schema {manifest.schema_version}, "
            f"this version reads up to {SCHEMA_VERSION}: upgrade pretrain"
        )
    return manifest if artifact_key(manifest.stage, manifest.fingerprint) == key else None


def find_damage(artifact: Artifact, hashes: FileHashes, *, rehash: bool) -> list[Damage]:
    """Every part that is missing or differs from the manifest.

    Args:
        artifact: the artifact to check.
        hashes: the memo; sha256 known for a file's present stat are taken from it, and new ones kept.
        rehash: read every byte (`pretrain verify`). Otherwise one listing checks sizes, and of local parts
            only those whose stat changed since they were hashed are read again.
    """
    store = artifact.store
    sizes = store.list_sizes(artifact.key)
    damage = []
    for part in artifact.manifest.parts:
        key = f"{artifact.key}/{part.path}"
        if key not in sizes:
            damage.append(Damage(part.path, "missing"))
        elif sizes[key] != part.bytes:
            damage.append(Damage(part.path, "wrong size"))
        elif rehash or store.is_local:
            try:
                path = store.local_file(key, fresh=rehash)
                problem = _problem_with(path, part, hashes, rehash=rehash, trust_size=True)
            except DamagedArtifactError:
                problem = "wrong sha256"
            if problem is not None:
                damage.append(Damage(part.path, problem))
    return damage


def _problem_with(
    path: Path, part: PartRecord, hashes: FileHashes, *, rehash: bool, trust_size: bool
) -> Literal["missing", "wrong size", "wrong sha256"] | None:
    if path.stat().st_size != part.bytes:
        return "wrong size"
    if rehash:
        digest = sha256_of_file(path)
        hashes.remember(path, digest)
    elif trust_size and hashes.recall(path) is None and not hashes.is_changed(path):
        return None
    else:
        digest = hashes.sha256(path, settled_only=False)
    return None if digest == part.sha256 else "wrong sha256"
