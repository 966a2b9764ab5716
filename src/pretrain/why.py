"""The life of one document through a run, read from ledgers and parts."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import pyarrow.compute as pc

from pretrain.artifact import Artifact, read_manifest
from pretrain.columns import select_rows
from pretrain.dag import DOCUMENT_STAGES
from pretrain.documents import LEDGER_SCHEMA, LedgerRow
from pretrain.errors import NotInStoreError
from pretrain.finding import Answers, find_documents
from pretrain.measurements import Measurements, measured
from pretrain.runs import RunRecord
from pretrain.snippet import one_line
from pretrain.store import Store

_EXCERPT_CHARS = 100


@dataclass(frozen=True)
class Change:
    """One change that a stage made to a document that stayed."""

    reason: str
    value: float | None = None
    threshold: float | None = None
    evidence: str | None = None


@dataclass(frozen=True)
class Decision:
    """What one stage did with the document.

    A kept document may have a reason too: that of its first row in the ledger, a change if `is_changed`. `changes`
    are all, where there are several; `measurements` are what the filter measured, where it wrote that down.
    """

    stage: str
    kept: bool
    reason: str | None = None
    value: float | None = None
    threshold: float | None = None
    evidence: str | None = None
    is_changed: bool = False
    changes: tuple[Change, ...] = ()
    measurements: Measurements | None = None

    def to_json(self) -> dict[str, Any]:
        """As in `pretrain why --json`: `changes`, `failed` and `metrics` are there where there is something to say."""
        values = asdict(self)
        del values["is_changed"]
        changes, measurements = values.pop("changes"), values.pop("measurements")
        if changes:
            values["changes"] = list(changes)
        if measurements is not None:
            values |= {"failed": list(measurements["failed"]), "metrics": measurements["metrics"]}
        return values


@dataclass(frozen=True)
class Life:
    """A document and what became of it.

    Attributes:
        id: of the document.
        source: its source.
        excerpt: the beginning of its text, on one line; empty for a record that never became a document.
        url: its address, or None.
        place: file, and line or offset, of a record that never became a document; else None.
        answers: the documents that the question fits; this is the first.
        decisions: stage by stage, up to the one that dropped it.
    """

    id: str
    source: str
    excerpt: str
    url: str | None
    place: str | None
    answers: Answers
    decisions: list[Decision]

    def to_json(self) -> dict[str, Any]:
        """As in `pretrain why --json`: of several documents that fit, also how many and the first ids."""
        decisions = [one.to_json() for one in self.decisions]
        told: dict[str, Any] = {"id": self.id, "source": self.source, "decisions": decisions}
        if self.answers.num_found > 1:
            told |= {"num_found": self.answers.num_found, "found": [one.id for one in self.answers.first]}
        return told


def explain(store: Store, run: RunRecord, document: str) -> Life:
    """The decisions of a run about a document.

    Args:
        store: where the run's artifacts are.
        run: the run.
        document: an id, the place of a record (`a.jsonl:12`), an address or a piece of the text.

    Raises:
        NotInStoreError: no document of the run fits.
    """
    artifacts = {record.stage: _open(store, record.stage, record.fingerprint) for record in run.stages}
    if "download" not in artifacts:
        raise NotInStoreError(f"run {run.run_id} has no download artifact to look in")
    answers = find_documents(artifacts, document)
    if not answers.num_found:
        raise NotInStoreError(f"no document of run {run.run_id} has the id or contains the text {document!r}")
    first = answers.first[0]
    decisions = list(_decisions(artifacts, first.id))
    return Life(
        first.id, first.source, one_line(first.text[:_EXCERPT_CHARS]), first.url, first.place, answers, decisions
    )


def _open(store: Store, stage: str, fingerprint: str) -> Artifact:
    manifest = read_manifest(store, stage, fingerprint)
    if manifest is None:
        raise NotInStoreError(f"{stage}/{fingerprint} of this run is no longer in {store.url}; run it again")
    return Artifact(store, manifest)


def _decisions(artifacts: Mapping[str, Artifact], identifier: str) -> Iterator[Decision]:
    upstream: Artifact | None = None
    for stage in (*DOCUMENT_STAGES, "shard"):
        if stage not in artifacts:
            continue
        decision = _decide(artifacts[stage], upstream, identifier)
        yield decision
        if not decision.kept:
            return
        upstream = artifacts[stage]


def _decide(artifact: Artifact, upstream: Artifact | None, identifier: str) -> Decision:
    stage = artifact.stage
    places = _places(artifact, identifier)
    is_kept = bool(places)
    rows = [
        LedgerRow(**row) for _, row in select_rows(artifact, "ledger/", ["id"], _is(identifier), LEDGER_SCHEMA.names)
    ]
    measurements = None
    if stage == "filter" and upstream is not None:
        measurements = measured(artifact, upstream, identifier, None if is_kept else next(iter(rows), None))
    if not rows:
        evidence = ", ".join(places) if stage == "shard" and is_kept else None
        return Decision(stage, is_kept, evidence=evidence, measurements=measurements)
    row = rows[0]
    changes = [Change(row.reason, row.value, row.threshold, row.evidence) for row in rows] if len(rows) > 1 else []
    told = (row.reason, row.value, row.threshold, row.evidence)
    is_changed = is_kept and row.reason in artifact.manifest.stats.get("changed_by_reason", {})
    return Decision(stage, is_kept, *told, is_changed, tuple(changes), measurements)


def _places(artifact: Artifact, identifier: str) -> list[str]:
    """The parts that hold the document; only a mixture's repeats are in several, or several times in one."""
    found = (part.path for part, _ in select_rows(artifact, "data/", ["id"], _is(identifier), ["id"]))
    if not artifact.manifest.stats.get("documents_repeated"):
        return list(islice(found, 1))
    return [path if times == 1 else f"{path} ({times} times)" for path, times in Counter(found).items()]


def _is(identifier: str) -> Any:
    return lambda table: pc.equal(table["id"], identifier)
