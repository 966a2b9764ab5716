"""A stage's progress in the Prefect UI: one progress artifact, updated now and then."""

import time
from typing import Any
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from pretrain.progress import LoggedProgress
from tasks.ui import shown

UPDATE_INTERVAL_SECONDS = 5.0  # each update is a request to the Prefect API
SILENCE_SECONDS = 120.0  # after a failed one: Prefect's client tries for 78 s, while the stage waits


class PrefectProgress(LoggedProgress):
    """Logs, and keeps one progress artifact a stage up to date."""

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self._artifact: Any = None
        self._next_update_at = 0.0

    def __call__(self, done: int, total: int, text: str) -> None:
        super().__call__(done, total, text)
        now = time.monotonic()
        is_due = now >= self._next_update_at
        if not is_due and (done < total or self._next_update_at - now > UPDATE_INTERVAL_SECONDS):
            return
        percent = 100.0 * done / max(1, total)
        # Cards in the UI do not show the percentage, so the text says it.
        is_shown = shown(lambda: self._show(percent, f"{percent:.0f}%: {text}"))
        self._next_update_at = time.monotonic() + (UPDATE_INTERVAL_SECONDS if is_shown else SILENCE_SECONDS)

    def _show(self, percent: float, text: str) -> None:
        if self._artifact is None:
            self._artifact = create_progress_artifact(percent, key=f"{self.stage}-progress", description=text)
        else:
            update_progress_artifact(UUID(str(self._artifact)), percent, description=text)
