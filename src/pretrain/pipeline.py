"""Finds or builds the artifact of one stage: identity, cache gate, build, commit.

    pipeline = Pipeline(recipe, recipe_folder, open_store("./store"))
    outcome = pipeline.obtain("filter", {"documents": download.artifact}, runner=runner, progress=progress)

This is all there is to running a stage; Prefect adds retries, states and a picture.
"""

import contextlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pretrain.artifact import (
    Artifact,
    InputRecord,
    Manifest,
    artifact_key,
    find_damage,
    read_manifest,
)
from pretrain.dag import Node, node
from pretrain.errors import InputError, NotInStoreError, PretrainError, StoreError, UsageError
from pretrain.external import ExternalInput, Surroundings
from pretrain.filehash import FileHashes
from pretrain.fingerprint import fingerprint
from pretrain.leases import claimed, leased, machine_id
from pretrain.progress import Progress
from pretrain.provenance import provenance
from pretrain.recipe import Recipe
from pretrain.runner import Runner
from pretrain.stage import StageContext, Stats, UnitFiles
from pretrain.store import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageIdentity:
    """What one artifact is before it exists."""

    stage: str
    version: int
    config: dict[str, Any]
    inputs: list[InputRecord]
    external: tuple[ExternalInput, ...]

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the artifact."""
        pairs = [entry.model_dump() for entry in self.inputs]
        return fingerprint(self.stage, self.version, self.config, pairs)


@dataclass(frozen=True)
class Outcome:
    """The artifact of a stage, and whether it was found in the store or built now (in `seconds`)."""

    artifact: Artifact
    action: Literal["cached", "built"]
    seconds: float


class Pipeline:
    """One recipe against one store.

    Args:
        recipe: the recipe.
        recipe_folder: what relative uris in it are relative to.
        store: where artifacts are found and written.
        run_id: the run that builds, for provenance.
        expected: fingerprints by stage as they were planned; a source that changed since is an error.
    """

    def __init__(
        self,
        recipe: Recipe,
        recipe_folder: Path,
        store: Store,
        *,
        run_id: str | None = None,
        expected: Mapping[str, str] | None = None,
    ) -> None:
        self.recipe = recipe
        self.folder = recipe_folder
        self.store = store
        self._run_id = run_id
        self._expected = expected or {}
        self.hashes = FileHashes()
        self._around = Surroundings(recipe_folder, store, self.hashes)

    def identify(self, stage: str, inputs: Mapping[str, str]) -> StageIdentity:
        """The identity of a stage's artifact, given the fingerprint of the input in each role.

        Raises:
            InputError: outside content that the recipe names is not there.
        """
        this = node(stage)
        if getattr(self.recipe, stage) is None:
            raise UsageError(f"the recipe has no {stage}; add it to run this stage")
        external = tuple(this.external(self.recipe, self._around))
        stages = this.inputs(self.recipe)
        records = [InputRecord(stage=stages[role], fingerprint=inputs[role]) for role in stages]
        records += [InputRecord(stage=outside.name, fingerprint=outside.fingerprint) for outside in external]
        return StageIdentity(stage, this.version, this.identity(self.recipe), records, external)

    def find(self, identity: StageIdentity, *, discard_damaged: bool = False) -> Artifact | None:
        """The artifact, when the store has it whole; None when it is absent, unfinished or damaged.

        Args:
            identity: what the artifact is.
            discard_damaged: remove the manifest of a damaged one: what is about to be rebuilt must not look
                finished to anyone meanwhile.
        """
        manifest = read_manifest(self.store, identity.stage, identity.fingerprint)
        if manifest is None:
            return None
        artifact = Artifact(self.store, manifest)
        if not find_damage(artifact, self.hashes, rehash=False):
            return artifact
        if discard_damaged:
            self.store.delete(f"{artifact.key}/manifest.json")
        return None

    def open(self, key: str) -> Artifact:
        """The finished artifact of a name, `<stage>/<fingerprint>`.

        Raises:
            NotInStoreError: the store does not have it.
        """
        stage, _, fingerprint = key.partition("/")
        manifest = read_manifest(self.store, stage, fingerprint)
        if manifest is None:
            raise NotInStoreError(f"{self.store.url} has no artifact {key}; run the recipe again")
        return Artifact(self.store, manifest)

    def obtain(
        self,
        stage: str,
        inputs: Mapping[str, Artifact],
        *,
        runner: Runner,
        progress: Progress,
        refresh: bool = False,
    ) -> Outcome:
        """The artifact of a stage, from the store where it is there and built where it is not.

        Args:
            stage: the stage.
            inputs: the upstream artifacts by role.
            runner: where units of work are processed.
            progress: told how far the build is.
            refresh: build again although the store has it.

        Raises:
            PretrainError: the stage failed; completed units are kept.
        """
        try:
            fingerprints = {role: artifact.manifest.fingerprint for role, artifact in inputs.items()}
            identity = self.identify(stage, fingerprints)
            self._require_planned(identity)
            found = None if refresh else self.find(identity)
            if found is None:
                with self._alone(identity, inputs):
                    # Another run may have built it meanwhile.
                    found = None if refresh else self.find(identity, discard_damaged=True)
                    if found is None:
                        return self._build(identity, inputs, runner, progress, refresh)
        except PretrainError as error:
            error.stage = stage
            raise
        logger.info("%s: cached", stage)
        return Outcome(found, "cached", 0.0)

    @contextlib.contextmanager
    def _alone(self, identity: StageIdentity, inputs: Mapping[str, Artifact]) -> Iterator[None]:
        """Held by one process of this machine, and of all where the store is remote; what is used stays meanwhile."""
        key = artifact_key(identity.stage, identity.fingerprint)
        used = [key, *(artifact.key for artifact in inputs.values())]
        with contextlib.ExitStack() as held:
            held.enter_context(self.store.exclusive(key))
            lease = held.enter_context(leased(self.store, used, self._run_id))
            if not self.store.is_local:
                held.enter_context(claimed(self.store, key, lease, machine=machine_id()))
            yield

    def _require_planned(self, identity: StageIdentity) -> None:
        expected = self._expected.get(identity.stage, identity.fingerprint)
        if expected != identity.fingerprint:
            raise InputError(
                f"what {identity.stage} reads from outside was changed while the run was on its way "
                f"({expected[:8]} -> {identity.fingerprint[:8]}): run the same command again"
            )

    def _build(
        self,
        identity: StageIdentity,
        inputs: Mapping[str, Artifact],
        runner: Runner,
        progress: Progress,
        refresh: bool,
    ) -> Outcome:
        key = artifact_key(identity.stage, identity.fingerprint)
        if refresh:
            self.store.delete(key)
        this = node(identity.stage)
        context = StageContext(
            stage=identity.stage,
            config=this.config(self.recipe),
            seed=self.recipe.seed,
            inputs=inputs,
            external={outside.name: outside for outside in identity.external},
            store=self.store,
            artifact_key=key,
            runner=runner,
            progress=progress,
        )
        logger.info("%s: building", identity.stage)
        started = time.monotonic()
        try:
            stats = _compute(this, context)
        except (PretrainError, FileNotFoundError):
            # Where the store has no lock, another run may have finished this artifact and removed its scratch files.
            found = self.find(identity)
            if found is None:
                raise
            return Outcome(found, "cached", 0.0)
        seconds = time.monotonic() - started
        outcome = self._commit(identity, context, stats, seconds)
        logger.info("%s: %s in %.1f s", identity.stage, outcome.action, seconds)
        return outcome

    def _commit(self, identity: StageIdentity, context: StageContext[Any], stats: Stats, seconds: float) -> Outcome:
        files = [file for receipt in context.receipts.values() for file in receipt.files]
        measured = stats.pop("measured", {})
        manifest = Manifest(
            stage=identity.stage,
            stage_version=identity.version,
            fingerprint=identity.fingerprint,
            inputs=identity.inputs,
            config=identity.config,
            parts=sorted((f for f in files if not f.path.startswith("scratch/")), key=lambda f: f.path),
            stats=stats,
            provenance=provenance(identity.stage, seconds, measured, self._run_id),
        )
        outcome = self._put_manifest(manifest, f"{context.artifact_key}/manifest.json", seconds)
        if any(file.path.startswith("scratch/") for file in files):
            self.store.delete(f"{context.artifact_key}/scratch")
        return outcome

    def _put_manifest(self, manifest: Manifest, key: str, seconds: float) -> Outcome:
        """Commits the artifact, or takes the one that another run committed in the meantime."""
        own = Outcome(Artifact(self.store, manifest), "built", seconds)
        # Looked for first: a server that does not know If-None-Match replaces what is there.
        other = None if self.store.is_local else read_manifest(self.store, manifest.stage, manifest.fingerprint)
        if other is None:
            if self.store.create_bytes(key, manifest.to_bytes()):
                return own
            other = read_manifest(self.store, manifest.stage, manifest.fingerprint)
        if other is None:  # what is there is no manifest
            self.store.write_bytes(key, manifest.to_bytes())
            return own
        theirs = Outcome(Artifact(self.store, other), "cached", 0.0)
        return theirs if other.content() == manifest.content() else self._settle(own, theirs)

    def _settle(self, own: Outcome, theirs: Outcome) -> Outcome:
        """Of two results for one artifact, that whose parts are in the store: training on two kinds of machine.

        Raises:
            StoreError: some parts are of one and some of the other. Neither is left, and a retry builds all of it:
                the receipts are of one or the other as well.
        """
        key = own.artifact.key
        for outcome in (theirs, own):
            if not find_damage(outcome.artifact, self.hashes, rehash=True):
                logger.warning("another machine built %s at the same time, with other results", key)
                if outcome is own:
                    self.store.write_bytes(f"{key}/manifest.json", own.artifact.manifest.to_bytes())
                return outcome
        for name in ("manifest.json", "receipts"):
            self.store.delete(f"{key}/{name}")
        raise StoreError(
            f"another machine built {key} at the same time, with other results, and the parts of both are mixed; "
            "it was taken back: run the same command again"
        )


def _compute(this: Node, context: StageContext[Any]) -> Stats:
    for outside in context.external.values():
        context.run_here(f"inputs-{outside.name.replace(':', '-')}", _Listing(outside))
    return this.build(context)


@dataclass(frozen=True)
class _Listing:
    """Writes the names and identities of outside files into the artifact: its lineage down to the source."""

    outside: ExternalInput

    def __call__(self, files: UnitFiles) -> Stats:
        rows = [
            json.dumps({"name": file.name, "identity": file.identity, "bytes": file.bytes}, ensure_ascii=False)
            for file in sorted(self.outside.files, key=lambda file: file.name)
        ]
        with files.create(f"inputs/{self.outside.name.replace(':', '-')}.jsonl") as output:
            output.path.write_text("".join(row + "\n" for row in rows), encoding="utf-8")
            output.rows = len(rows)
        return {}
