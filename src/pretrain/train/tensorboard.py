"""Metrics as event files for TensorBoard, beside those of the artifact: they hold times, which no artifact does."""

from pathlib import Path
from typing import Any

from pretrain.errors import UsageError
from pretrain.train.processes import is_main
from pretrain.train.surroundings import TENSORBOARD_VARIABLE


class EventFiles:
    """Writes rows of metrics into `folder`, each number as a curve over steps; None writes nothing.

    Raises:
        UsageError: the package tensorboard is not installed.
    """

    def __init__(self, folder: Path | None) -> None:
        self._writer: Any = None
        if folder is None or not is_main():
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UsageError(
                f"{TENSORBOARD_VARIABLE} is {folder}, but the package tensorboard is not installed ({error}): "
                "`pip install tensorboard`, or unset the variable"
            ) from error
        self._writer = SummaryWriter(str(folder))

    def add(self, row: dict[str, Any]) -> None:
        """Adds a row with its `step`."""
        if self._writer is None:
            return
        for name, value in row.items():
            if name != "step" and value is not None:
                self._writer.add_scalar(f"train/{name}", value, row["step"])

    def close(self) -> None:
        """Flushes and closes the files."""
        if self._writer is not None:
            self._writer.close()
