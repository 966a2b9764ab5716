"""What a stage shows in the Prefect UI at its end. The UI listens: a stage goes on when the server does not answer."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
from prefect.artifacts import create_table_artifact
from prefect.exceptions import PrefectException

from pretrain.artifact import Artifact
from pretrain.errors import PretrainError
from pretrain.language.by_source import language_rows
from pretrain.pipeline import Outcome
from pretrain.stage_report import reason_rows, source_rows

logger = logging.getLogger("pretrain.ui")


def publish_stats(outcome: Outcome) -> None:
    """A table of the stage's counts, with the artifact's name in its description."""
    rows = [{"name": name, "value": value} for name, value in _flat("", outcome.artifact.manifest.reported_stats())]
    stage, description = outcome.artifact.stage, f"{outcome.action}: {outcome.artifact.key}"
    shown(lambda: create_table_artifact(rows, key=f"{stage}-stats", description=description))
    languages = language_rows(outcome.artifact.manifest.stats)
    if languages:
        shown(lambda: create_table_artifact(languages, key=f"{stage}-by-source", description=description))


def publish_funnel(outcome: Outcome, upstream: Artifact | None) -> None:
    """For a stage that drops documents: a table of its sources, and one of reasons with examples from `upstream`."""
    artifact = outcome.artifact
    try:
        tables = {"funnel": source_rows(artifact), "dropped": reason_rows(artifact, upstream)}
    except PretrainError as error:  # the stage itself is done; who reads the part next is told the same
        logger.warning("no examples of %s in the UI: %s", artifact.key, error)
        return
    for name, rows in tables.items():
        table = partial(create_table_artifact, rows, key=f"{artifact.stage}-{name}")
        if rows:
            shown(partial(table, description=f"{outcome.action}: {artifact.key}"))


def shown(request: Callable[[], object]) -> bool:
    """Makes a request to the Prefect API; whether it was answered."""
    try:
        request()
    except (httpx.HTTPError, PrefectException, OSError) as error:
        logger.warning("the Prefect API did not take an update of the UI: %s", error)
        return False
    return True


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):  # the operations of init
        value = dict(enumerate(value, 1))
    if not isinstance(value, dict):
        return [(prefix, value)]
    return [pair for key, item in value.items() for pair in _flat(f"{prefix}.{key}".lstrip("."), item)]
