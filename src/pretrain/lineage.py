"""What an artifact was made from, traced through manifests down to the outside files and their hashes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pretrain.artifact import Artifact, InputRecord, Manifest, artifact_key, read_manifest
from pretrain.store import Store

_SHA256 = "sha256:"
# What a stage made, by the name of the count in its stats.
_COUNTS = {"documents_out": "documents", "sequences": "sequences", "tokens": "tokens", "parameters": "parameters"}


@dataclass(frozen=True)
class SourceFile:
    """A file from outside the store. `identity` stands for its bytes: `sha256:<hex>`, or an ETag or a revision."""

    name: str
    bytes: int
    identity: str

    def to_json(self) -> dict[str, Any]:
        """As in `pretrain show --lineage --json`; `sha256` is null where only another identity is known."""
        sha256 = self.identity.removeprefix(_SHA256) if self.identity.startswith(_SHA256) else None
        return {"name": self.name, "bytes": self.bytes, "sha256": sha256, "identity": self.identity}


@dataclass(frozen=True)
class OutsideInput:
    """What a stage read from outside the store (`source:docs`). `files` is None where the artifact has no list."""

    name: str
    fingerprint: str
    files: tuple[SourceFile, ...] | None

    def to_json(self) -> dict[str, Any]:
        """As in `pretrain show --lineage --json`."""
        files = None if self.files is None else [file.to_json() for file in self.files]
        return {"name": self.name, "fingerprint": self.fingerprint, "files": files}


@dataclass(frozen=True)
class Ancestor:
    """One artifact of the tree.

    Attributes:
        key: `<stage>/<fingerprint>`.
        manifest: its manifest; None where the store does not have it any more.
        inputs: what it was made from; None where that stands elsewhere in the tree, or is not known.
    """

    key: str
    manifest: Manifest | None
    inputs: "tuple[Ancestor | OutsideInput, ...] | None"

    @property
    def is_in_store(self) -> bool:
        """Whether the store has it."""
        return self.manifest is not None

    @property
    def created(self) -> str | None:
        """When it was committed, in ISO 8601."""
        return self._provenance("created")

    @property
    def git_commit(self) -> str | None:
        """The commit of the code that made it."""
        return self._provenance("git_commit")

    @property
    def run_id(self) -> str | None:
        """The run that made it."""
        return self._provenance("run_id")

    @property
    def counts(self) -> dict[str, int]:
        """Documents, sequences, tokens and parameters, those that its stage counts."""
        stats = self.manifest.stats if self.manifest is not None else {}
        return {name: stats[stat] for stat, name in _COUNTS.items() if isinstance(stats.get(stat), int)}

    def to_json(self) -> dict[str, Any]:
        """As in `pretrain show --lineage --json`: what stands in the tree already is `repeated`, by name alone."""
        stage, _, fingerprint = self.key.partition("/")
        named: dict[str, Any] = {"stage": stage, "fingerprint": fingerprint}
        if self.manifest is None:
            return {**named, "missing": True}
        if self.inputs is None:
            return {**named, "repeated": True}
        return {
            **named,
            "stage_version": self.manifest.stage_version,
            "created": self.created,
            "git_commit": self.git_commit,
            "run_id": self.run_id,
            **self.counts,
            "parts": len(self.manifest.parts),
            "bytes": sum(part.bytes for part in self.manifest.parts),
            "inputs": [entry.to_json() for entry in self.inputs if isinstance(entry, Ancestor)],
            "outside": [entry.to_json() for entry in self.inputs if isinstance(entry, OutsideInput)],
        }

    def _provenance(self, name: str) -> str | None:
        value = self.manifest.provenance.get(name) if self.manifest is not None else None
        return None if value is None else str(value)


def trace(artifact: Artifact) -> Ancestor:
    """The whole tree of an artifact; what several of its ancestors were made from is expanded once.

    Raises:
        DamagedArtifactError: the list of outside files of one of them is missing or damaged.
    """
    return _trace(artifact.store, artifact.key, artifact.manifest, set())


def lineage(store: Store, manifest: Manifest) -> list[tuple[int, str]]:
    """The tree of what an artifact came from, as (depth, name), down to outside content."""
    return list(_names(store, manifest, 0))


def _trace(store: Store, key: str, manifest: Manifest | None, seen: set[str]) -> Ancestor:
    if manifest is None or key in seen:
        return Ancestor(key, manifest, None)
    seen.add(key)
    artifact = Artifact(store, manifest)
    inputs: list[Ancestor | OutsideInput] = []
    for record in manifest.inputs:
        if ":" in record.stage:
            inputs.append(_outside(artifact, record))
            continue
        upstream = read_manifest(store, record.stage, record.fingerprint)
        inputs.append(_trace(store, artifact_key(record.stage, record.fingerprint), upstream, seen))
    return Ancestor(key, manifest, tuple(inputs))


def _outside(artifact: Artifact, record: InputRecord) -> OutsideInput:
    path = f"inputs/{record.stage.replace(':', '-')}.jsonl"
    if path not in {part.path for part in artifact.manifest.parts}:
        return OutsideInput(record.stage, record.fingerprint, None)
    with artifact.open_part(path).open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    files = tuple(SourceFile(row["name"], row["bytes"], row["identity"]) for row in rows)
    return OutsideInput(record.stage, record.fingerprint, files)


def _names(store: Store, manifest: Manifest, depth: int) -> Iterator[tuple[int, str]]:
    yield depth, artifact_key(manifest.stage, manifest.fingerprint)
    for record in manifest.inputs:
        upstream = None if ":" in record.stage else read_manifest(store, record.stage, record.fingerprint)
        if upstream is None:
            yield depth + 1, f"{record.stage}  {record.fingerprint}"
        else:
            yield from _names(store, upstream, depth + 1)
