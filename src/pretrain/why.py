"""The life of one document through a run, read from ledgers and parts."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow.compute as pc

from pretrain.artifact import Artifact, read_manifest
from pretrain.columns import open_columns
from pretrain.dag import DOCUMENT_STAGES
from pretrain.documents import LedgerRow, read_ledger
from pretrain.errors import NotInStoreError
from pretrain.runs import RunRecord
from pretrain.store import Store

_EXCERPT_CHARS = 100


@dataclass(frozen=True)
class Decision:
    """What one stage did with the document. A kept document may have a reason too: it was changed."""

    stage: str
    kept: bool
    reason: str | None = None
    value: float | None = None
    threshold: float | None = None
    evidence: str | None = None


@dataclass(frozen=True)
class Life:
    """A document and what became of it. `num_matches` counts the documents that the question fits."""

    id: str
    source: str
    excerpt: str
    num_matches: int
    decisions: list[Decision]

    def to_json(self) -> dict[str, Any]:
        """As in `pretrain why --json`."""
        return {"id": self.id, "source": self.source, "decisions": [asdict(d) for d in self.decisions]}


def explain(store: Store, run: RunRecord, document: str) -> Life:
    """The decisions of a run about the document with this id, or whose text contains this piece.

    Raises:
        NotInStoreError: no document of the run fits.
    """
    artifacts = {record.stage: _open(store, record.stage, record.fingerprint) for record in run.stages}
    identifier, source, excerpt, num_matches = _locate(artifacts, run, document)
    decisions = []
    for stage in (*DOCUMENT_STAGES, "shard"):
        if stage not in artifacts:
            continue
        decision = _decide(artifacts[stage], stage, identifier)
        decisions.append(decision)
        if not decision.kept:
            break
    return Life(identifier, source, excerpt, num_matches, decisions)


def _open(store: Store, stage: str, fingerprint: str) -> Artifact:
    manifest = read_manifest(store, stage, fingerprint)
    if manifest is None:
        raise NotInStoreError(f"{stage}/{fingerprint} of this run is no longer in {store.url}; run it again")
    return Artifact(store, manifest)


def _locate(artifacts: dict[str, Artifact], run: RunRecord, document: str) -> tuple[str, str, str, int]:
    if "download" not in artifacts:
        raise NotInStoreError(f"run {run.run_id} has no download artifact to look in")
    found = list(_matches(artifacts["download"], document))
    if found:
        identifier, source, text = found[0]
        return identifier, source, " ".join(text[:_EXCERPT_CHARS].split()), len(found)
    for row in _ledger(artifacts["download"]):
        if row.id == document:
            return row.id, row.source, f"(unreadable: {row.evidence})", 1
    raise NotInStoreError(f"no document of run {run.run_id} has the id or contains the text {document!r}")


def _matches(artifact: Artifact, document: str) -> Iterator[tuple[str, str, str]]:
    for part in artifact.parts("data/"):
        with open_columns(artifact, part) as file:
            for batch in file.iter_batches(columns=["id", "source", "text"]):
                fits = pc.or_(pc.equal(batch["id"], document), pc.match_substring(batch["text"], document))
                for row in batch.filter(fits).to_pylist():
                    yield row["id"], row["source"], row["text"]


def _decide(artifact: Artifact, stage: str, identifier: str) -> Decision:
    is_kept, folder = _holds(artifact, identifier)
    row = next((row for row in _ledger(artifact) if row.id == identifier), None)
    if row is not None:
        return Decision(stage, is_kept, row.reason, row.value, row.threshold, row.evidence)
    evidence = folder if stage == "shard" and is_kept else None
    return Decision(stage, is_kept, evidence=evidence)


def _holds(artifact: Artifact, identifier: str) -> tuple[bool, str | None]:
    for part in artifact.parts("data/"):
        with open_columns(artifact, part) as file:
            ids = file.read(columns=["id"])["id"]
        if pc.any(pc.equal(ids, identifier)).as_py():
            return True, part.path
    return False, None


def _ledger(artifact: Artifact) -> Iterator[LedgerRow]:
    for part in artifact.parts("ledger/"):
        yield from read_ledger(artifact.open_part(part))
