"""`pretrain why TEXT-OR-ID --run RUN`: the life of one document, stage by stage."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pretrain.cli.common import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    console,
    errors_end_the_command,
    print_json,
    print_whole,
    shown_number,
)

if TYPE_CHECKING:
    from pretrain.measurements import Measurements
    from pretrain.why import Change, Decision, Life

_MAX_LISTED = 5
_LISTED_CHARS = 40


def why_command(
    document: Annotated[
        str,
        typer.Argument(
            metavar="TEXT-OR-ID",
            help="An id, a piece of the text, an address, or the place of a record as ledgers write it (a.jsonl:12).",
        ),
    ],
    run: Annotated[str, typer.Option(help="Run id; `latest` is the newest.")] = "latest",
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Show where a document was kept or dropped: by which rule, with which value, for which other document."""
    from pretrain.runs import load_run
    from pretrain.store import open_store
    from pretrain.why import explain

    with errors_end_the_command():
        place = open_store(store)
        life = explain(place, load_run(place, run), document)
    if as_json:
        print_json(life.to_json())
        return
    _print_life(console(), life)


def _print_life(out: Console, life: "Life") -> None:
    from pretrain.snippet import one_line

    if life.place is not None:
        out.print(f"record {life.id} of source {life.source} is no document: {one_line(life.place)}", markup=False)
    else:
        out.print(f"document {life.id} of source {life.source}: {life.excerpt}", markup=False)
    if life.url is not None:
        out.print(one_line(life.url), markup=False)
    answers = life.answers
    if answers.num_found > 1:
        out.print(f"({answers.num_found:,} documents have this {answers.by}; this is the first)", markup=False)
        for one in answers.first[1:_MAX_LISTED]:
            out.print(f"  {one.id} of {one.source}: {one_line(one.place or one.text[:_LISTED_CHARS])}", markup=False)
    table = Table("stage", "decision", "reason", "value", "threshold", "evidence", box=None, pad_edge=False)
    for decision in life.decisions:
        verdict = "[red]dropped[/]"
        if decision.kept:
            verdict = "[yellow]changed[/]" if decision.is_changed else "[green]kept[/]"
        table.add_row(decision.stage, verdict, *_told(decision))
        for change in decision.changes[1:]:
            table.add_row("", verdict, *_told(change))
    print_whole(out, table)
    for decision in life.decisions:
        if decision.measurements is not None:
            _print_measurements(out, decision.stage, decision.measurements)


def _told(decision: "Decision | Change") -> tuple[str, str, str, str]:
    from pretrain.snippet import one_line

    numbers = (shown_number(decision.value), shown_number(decision.threshold))
    return decision.reason or "", *numbers, escape(one_line(decision.evidence or ""))


def _print_measurements(out: Console, stage: str, measurements: "Measurements") -> None:
    if measurements.failed:
        table = Table(f"{stage}: failed tests", "value", "threshold", box=None, pad_edge=False)
        for test in measurements.failed:
            table.add_row(test.test, shown_number(test.value), shown_number(test.threshold))
        out.print()
        print_whole(out, table)
    if measurements.metrics:
        table = Table(f"{stage}: measured", "value", box=None, pad_edge=False)
        for name, value in measurements.metrics.items():
            if value is not None:  # a rule that had nothing to measure
                table.add_row(name, shown_number(value))
        out.print()
        print_whole(out, table)
