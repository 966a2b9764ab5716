"""What all commands share: their options, how they print, how an error ends them."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from pretrain.errors import PretrainError

StoreOption = Annotated[str, typer.Option("--store", help="Local folder or s3://bucket/prefix.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a recipe key: stage.key=value."),
]

DEFAULT_STORE = "./store"

_WIDEST_TABLE_CHARS = 400


def console(*, stderr: bool = False) -> Console:
    """Where a command prints for people; plain text where there is no terminal."""
    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def print_whole(out: Console, table: Table) -> None:
    """Prints a table with nothing cut off: a narrow terminal wraps its lines, and a pipe takes them whole."""
    out.width = max(out.width, _WIDEST_TABLE_CHARS)  # `print(width=...)` only ever narrows it
    out.print(table)


def print_json(value: Any) -> None:
    """Prints one JSON object to stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def print_error(error: PretrainError) -> None:
    """Prints what was wrong to stderr, as it is, with no traceback."""
    place = f" in stage {error.stage}" if error.stage else ""
    console(stderr=True).print(f"error{place}: {error}", markup=False, style="red")


@contextlib.contextmanager
def errors_end_the_command() -> Iterator[None]:
    """Turns an error of this package into its message and exit code."""
    try:
        yield
    except PretrainError as error:
        print_error(error)
        raise typer.Exit(error.exit_code) from error


@contextlib.contextmanager
def byte_progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar over bytes on stderr, in a terminal; yields what advances it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    out = console(stderr=True)
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda num_bytes: bar.advance(task, num_bytes)


def shown_number(value: Any) -> str:
    """A number for people: thousands separated, floats to four digits."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def shown_bytes(num_bytes: int) -> str:
    """A size for people, in powers of 1000."""
    size = float(num_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
