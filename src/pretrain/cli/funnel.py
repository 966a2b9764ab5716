"""`pretrain funnel RUN`: what is left of each source after each stage, and what each reason took.

`pretrain run` ends with the same two tables. They fit 100 columns: of many sources and reasons the largest are
named, and the others are summed in one line.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from pretrain.cli.common import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    console,
    errors_end_the_command,
    print_json,
    print_whole,
)

if TYPE_CHECKING:
    from pretrain.funnel import Funnel, SourceFunnel

T = TypeVar("T")

_MAX_SOURCES = 12
_MAX_REASONS = 8  # of one stage
_MAX_NAME_CHARS = 26
_MAX_REASON_CHARS = 30
_MAX_TAKEN_CHARS = 34
_MAX_SOURCES_OF_A_REASON = 3


def funnel_command(
    run: Annotated[str, typer.Argument(help="Run id; `latest` is the newest.")] = "latest",
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Show what is left of each source after each stage of a run, and what each reason took."""
    from pretrain.errors import NotInStoreError
    from pretrain.funnel import make_funnel
    from pretrain.runs import load_run
    from pretrain.store import open_store

    with errors_end_the_command():
        record = load_run(open_store(store), run)
        funnel = make_funnel(record.stages)
        if funnel is None:
            raise NotInStoreError(
                f"run {record.run_id} has no documents yet, its state is {record.state}: `pretrain ls` lists others"
            )
    if as_json:
        print_json({"run_id": record.run_id, **funnel.to_json()})
        return
    console().print(f"run {record.run_id}")
    print_funnel(console(), funnel)


def print_funnel(out: Console, funnel: "Funnel") -> None:
    """Prints the funnel for people."""
    print_whole(out, _sources_table(funnel))
    dropped = _reasons_table(funnel)
    if dropped.row_count:
        out.print()
        print_whole(out, dropped)
    for stage, reasons in funnel.changed.items():
        counts = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
        out.print(f"{stage} changed and kept documents: {counts}", markup=False)


def _sources_table(funnel: "Funnel") -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("source")
    for name in ("records", *(step.stage for step in funnel.total.steps), "kept"):
        table.add_column(name, justify="right")
    shown, rest = _head(list(funnel.sources), _MAX_SOURCES)
    for one in shown:
        table.add_row(_cut(str(one.source), _MAX_NAME_CHARS), *_left(one))
    if rest:
        left = [sum(counts) for counts in zip(*(_counts(one) for one in rest), strict=True)]
        table.add_row(f"… and {len(rest):,} more", *(f"{count:,}" for count in left), _share(left[-1], left[0]))
    if len(funnel.sources) != 1:
        table.add_row("all", *_left(funnel.total), style="bold")
    return table


def _counts(one: "SourceFunnel") -> list[int]:
    return [one.num_records, *(step.documents_out for step in one.steps)]


def _left(one: "SourceFunnel") -> list[str]:
    return [*(f"{count:,}" for count in _counts(one)), _share(one.num_left, one.num_records)]


def _reasons_table(funnel: "Funnel") -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("dropped by")
    table.add_column("reason")
    table.add_column("documents", justify="right")
    table.add_column("of input", justify="right")
    table.add_column("most of them from")
    for step in funnel.total.steps:
        shown, rest = _head(list(step.dropped.items()), _MAX_REASONS)
        name = step.stage
        for reason, count in shown:
            taken = _taken(funnel.taken_from(step.stage, reason)) if len(funnel.sources) > 1 else ""
            row = (_cut(reason, _MAX_REASON_CHARS), f"{count:,}", _share(count, step.documents_in), taken)
            table.add_row(name, *row)
            name = ""
        if rest:
            count = sum(count for _, count in rest)
            table.add_row("", f"… and {len(rest):,} more", f"{count:,}", _share(count, step.documents_in), "")
    return table


def _head(items: list[T], limit: int) -> tuple[list[T], list[T]]:
    """The first `limit` items and the rest; a rest of one is worth no line of its own."""
    stop = limit if len(items) > limit + 1 else len(items)
    return items[:stop], items[stop:]


def _taken(by_source: Mapping[str, int]) -> str:
    """`web 40, code 20, 3 others 7`, of sources in their order, as many as fit the column."""
    named: list[str] = []
    counts = list(by_source.items())
    for place, (source, count) in enumerate(counts):
        rest = counts[place + 1 :]
        tail = [f"{len(rest)} other{'s' if len(rest) > 1 else ''} {sum(n for _, n in rest):,}"] if rest else []
        entry = f"{_cut(source, _MAX_NAME_CHARS - len(tail) * 8)} {count:,}"
        if named and len(", ".join([*named, entry, *tail])) > _MAX_TAKEN_CHARS:
            left = counts[place:]
            others = f"{len(left)} other{'s' if len(left) > 1 else ''} {sum(n for _, n in left):,}"
            return ", ".join([*named, others])
        named.append(entry)
    return ", ".join(named)


def _share(part: int, whole: int) -> str:
    """A share in percent that says 0 or 100 only where it is exactly that."""
    if whole == 0:
        return ""
    percent = 100 * part / whole
    if 0 < percent < 0.05:
        return "<0.1%"
    if 99.95 <= percent < 100:
        return ">99.9%"
    return f"{percent:.1f}%"


def _cut(name: str, max_chars: int) -> str:
    return name if len(name) <= max_chars else f"{name[: max_chars - 1]}…"
