"""What the filter measured on one document, read from its table of metrics.

The table names the tests that failed and has every measured value; the threshold beside a value is a matter of the
rules' config. It is had by making the tests again on that one document, with the config of the manifest. A rule that
reads outside files (lists, models, code) is left out of that: the files may be gone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc
from pydantic import TypeAdapter, ValidationError

from pretrain.artifact import Artifact
from pretrain.columns import open_columns, select_rows
from pretrain.documents import DOCUMENT_SCHEMA, Document, LedgerRow

_DOCUMENT_COLUMNS = ("id", "source", "kept", "failed")


@dataclass(frozen=True)
class FailedTest:
    """A test that failed: `<rule>.<reason>`, with value and threshold where they are known."""

    test: str
    value: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Measurements:
    """Every test that the document failed, in order, and all that was measured on it, by `<rule>.<metric>`."""

    failed: tuple[FailedTest, ...]
    metrics: dict[str, float | None]


def measured(
    artifact: Artifact, upstream: Artifact, identifier: str, dropped: LedgerRow | None = None
) -> Measurements | None:
    """The measurements of one document, or None when the filter wrote no table of metrics.

    Args:
        artifact: of the stage `filter`.
        upstream: the artifact that it read.
        identifier: the document's id.
        dropped: its row in the ledger when it was dropped: that of the first test that failed.
    """
    parts = artifact.parts("metrics/")
    if not parts:
        return None
    with open_columns(artifact, parts[0]) as file:
        columns = file.schema_arrow.names
    rows = select_rows(artifact, "metrics/", ["id"], lambda table: pc.equal(table["id"], identifier), columns)
    row = next((row for _, row in rows), None)
    if row is None:
        return None
    metrics = {name: row[name] for name in columns if name not in _DOCUMENT_COLUMNS}
    known: dict[str, FailedTest] = {}
    if row["failed"]:
        if dropped is not None:
            known[row["failed"][0]] = FailedTest(row["failed"][0], dropped.value, dropped.threshold)
        document = _document(upstream, identifier)
        known |= {one.test: one for one in _tests_again(artifact, document, metrics)} if document else {}
    return Measurements(tuple(known.get(test, FailedTest(test)) for test in row["failed"]), metrics)


def _document(artifact: Artifact, identifier: str) -> Document | None:
    columns = DOCUMENT_SCHEMA.names
    rows = select_rows(artifact, "data/", ["id"], lambda table: pc.equal(table["id"], identifier), columns)
    return next((Document(**row) for _, row in rows), None)


def _tests_again(artifact: Artifact, document: Document, metrics: dict[str, float | None]) -> Iterator[FailedTest]:
    from pretrain.filter.config import VERSION
    from pretrain.filter.judgement import Judge

    if artifact.manifest.stage_version != VERSION:
        return
    judgement = Judge(_rules(artifact.manifest.config["rules"]), exhaustive=True)(document.text, document)
    for label, check in judgement.failed:
        # a rule left out may have rewritten the text: only what was measured in the run counts
        if metrics.get(f"{label}.{check.metric}", check.value) == check.value:
            yield FailedTest(f"{label}.{check.reason}", check.value, check.threshold)


def _rules(values: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    from pretrain.filter.registry import AnyRuleConfig
    from pretrain.filter.rule_config import RuleConfig

    for value in values:
        try:
            config = TypeAdapter[RuleConfig](AnyRuleConfig).validate_python(value)
        except ValidationError:  # it names a file, and where that lies is no part of a manifest
            continue
        if type(config).external is RuleConfig.external:
            yield config.rule, config.make_rule({})
