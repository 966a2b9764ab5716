"""`pretrain why TEXT-OR-ID --run RUN`: the life of one document, stage by stage."""

from typing import Annotated

import typer
from rich.table import Table

from pretrain.cli.common import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    console,
    errors_end_the_command,
    print_json,
    shown_number,
)


def why_command(
    document: Annotated[str, typer.Argument(metavar="TEXT-OR-ID", help="An id, or a piece of the text.")],
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
    out = console()
    out.print(f"document {life.id} of source {life.source}: {life.excerpt}", markup=False)
    if life.num_matches > 1:
        out.print(f"({life.num_matches} documents have this text; this is the first)")
    table = Table("stage", "decision", "reason", "value", "threshold", "evidence", box=None, pad_edge=False)
    for decision in life.decisions:
        verdict = "[green]kept[/]" if decision.kept else "[red]dropped[/]"
        numbers = (shown_number(decision.value), shown_number(decision.threshold))
        table.add_row(decision.stage, verdict, decision.reason or "", *numbers, decision.evidence or "")
    out.print(table)
