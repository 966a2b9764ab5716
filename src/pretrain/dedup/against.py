"""Artifacts of `against`: deduplicated before, their documents come before all of this run's."""

from collections.abc import Mapping, Sequence
from typing import Any

from pretrain.artifact import Artifact, read_manifest
from pretrain.dedup.config import DedupConfig
from pretrain.dedup.corpus import CorpusPart, old_signature_path
from pretrain.errors import InputError, NotInStoreError
from pretrain.store import Store


def open_against(store: Store, config: DedupConfig) -> list[Artifact]:
    """The artifacts of `against`, in order of name.

    Raises:
        NotInStoreError: one is not in the store.
        InputError: one is no dedup artifact, or its signatures cannot be compared with this config's.
    """
    artifacts = []
    for key in sorted(config.against):
        stage, _, fingerprint = key.partition("/")
        manifest = read_manifest(store, stage, fingerprint)
        if manifest is None:
            raise NotInStoreError(
                f"dedup.against: {store.url} has no artifact {key}; `pretrain ls` lists those it has, "
                "`pretrain import` brings one from another store"
            )
        if stage != "dedup":
            raise InputError(f"dedup.against: {key} is an artifact of {stage}; name one of dedup (dedup/<fingerprint>)")
        _require_comparable(key, manifest.config, config)
        artifacts.append(Artifact(store, manifest))
    return artifacts


def corpus_parts(documents: Artifact, old: Sequence[Artifact]) -> list[CorpusPart]:
    """All parts, numbered by arrival: old artifacts first."""
    parts: list[CorpusPart] = []
    start = 0
    for artifact in (*old, documents):
        is_old = artifact is not documents
        for number, part in enumerate(artifact.parts("data/")):
            rows = artifact.part(old_signature_path("documents", part)).rows if is_old else part.rows
            parts.append(CorpusPart(number, start, rows, artifact, part, is_old))
            start += rows
    return parts


def _require_comparable(key: str, old: Mapping[str, Any], config: DedupConfig) -> None:
    new = config.identity()
    for name in ("exact", "keep", "minhash"):
        before, now = old[name], new[name]
        if name == "minhash" and before is not None and now is not None:
            compared = config.minhash.signature_identity() if config.minhash is not None else {}
            before, now = ({key: value[key] for key in (*compared, "threshold")} for value in (before, now))
        if before != now:
            raise InputError(
                f"dedup.against: {key} was made with {name} {before}, this recipe has {now}: documents would be "
                "judged by two rules; set it alike, or run all documents together"
            )
    if old["segments"] is not None:
        raise InputError(
            f"dedup.against: {key} was made with `segments`, so that its texts are not what its hashes were taken "
            "of; run all documents together"
        )
