"""What a stage shows in the Prefect UI: a progress bar while it works, a table of its counts at the end."""

import time
from typing import Any
from uuid import UUID

from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact

from pretrain.pipeline import Outcome
from pretrain.progress import LoggedProgress

UPDATE_INTERVAL_SECONDS = 5.0  # each update is a request to the Prefect API


class PrefectProgress(LoggedProgress):
    """Logs, and keeps one progress artifact a stage up to date."""

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self._artifact: UUID | None = None
        self._updated_at = 0.0

    def __call__(self, done: int, total: int, text: str) -> None:
        super().__call__(done, total, text)
        percent = 100.0 * done / max(1, total)
        if self._artifact is None:
            created: Any = create_progress_artifact(percent, key=f"{self.stage}-progress", description=text)
            self._artifact = created
        elif done < total and time.monotonic() - self._updated_at < UPDATE_INTERVAL_SECONDS:
            return
        else:
            # Cards in the UI do not show the percentage, so the text says it.
            update_progress_artifact(self._artifact, percent, description=f"{percent:.0f}%: {text}")
        self._updated_at = time.monotonic()


def publish_stats(outcome: Outcome) -> None:
    """A table of the stage's counts, with the artifact's name in its description."""
    manifest = outcome.artifact.manifest
    rows = [{"name": name, "value": value} for name, value in _flat("", manifest.reported_stats())]
    create_table_artifact(rows, key=f"{manifest.stage}-stats", description=f"{outcome.action}: {outcome.artifact.key}")


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(prefix, value)]
    return [pair for key, item in value.items() for pair in _flat(f"{prefix}.{key}".lstrip("."), item)]
