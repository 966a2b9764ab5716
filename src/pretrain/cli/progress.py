"""Progress of a run on stderr: a bar a running stage in a terminal, one line a stage elsewhere."""

import contextlib
import logging
from collections.abc import Iterator

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from pretrain.cli.common import console


@contextlib.contextmanager
def shown_progress(num_stages: int) -> Iterator[None]:
    """Shows what the loggers of the pipeline and of the stages report, while the block runs."""
    out = console(stderr=True)
    bars = Progress(
        TextColumn("{task.fields[stage]:<10}"),
        BarColumn(bar_width=30),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=out,
        transient=True,
        disable=not out.is_terminal,
    )
    handler = _ProgressHandler(bars, num_stages)
    loggers = [logging.getLogger("pretrain.progress"), logging.getLogger("pretrain.pipeline")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        with bars:
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)


class _ProgressHandler(logging.Handler):
    """Turns progress records into bars, and what the pipeline says into lines above them."""

    def __init__(self, bars: Progress, num_stages: int) -> None:
        super().__init__(logging.INFO)
        self._bars = bars
        self._num_stages = num_stages
        self._num_ended = 0
        self._tasks: dict[str, TaskID] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "pretrain.progress":
            self._show(record)
            return
        stage, _, text = record.getMessage().partition(": ")
        if text == "building":
            if not self._bars.console.is_terminal:
                self._bars.console.print(f"[{self._num_ended + 1}/{self._num_stages}] {stage} ...", markup=False)
            return
        self._num_ended += 1
        self._bars.console.print(f"[{self._num_ended}/{self._num_stages}] {stage:<10} {text}", markup=False)

    def _show(self, record: logging.LogRecord) -> None:
        stage, done, total = (getattr(record, name) for name in ("stage", "done", "total"))
        text = record.getMessage().removeprefix(f"{stage}: ")
        if done >= total:
            if stage in self._tasks:
                self._bars.remove_task(self._tasks.pop(stage))
            return
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(text, total=total, stage=stage)
        self._bars.update(self._tasks[stage], completed=done, total=total, description=text)
