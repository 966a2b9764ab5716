"""`pretrain plan RECIPE`: what a run would build, and which keys or inputs make it so."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from pretrain.cli.common import (
    DEFAULT_STORE,
    JsonOption,
    SetOption,
    StoreOption,
    console,
    errors_end_the_command,
    print_json,
    print_whole,
)


def plan_command(
    recipe: Annotated[Path, typer.Argument(help="The recipe (YAML).")],
    overrides: SetOption = None,
    until: Annotated[str | None, typer.Option(help="Last stage wanted.")] = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Show what a run would build and why. Touches nothing."""
    from pretrain.planning import make_plan
    from pretrain.spec import RunSpec

    with errors_end_the_command():
        spec = RunSpec(recipe=str(recipe), store=store, overrides=overrides or [], until=until).resolved()
        plan = make_plan(spec.pipeline(), until)
    if as_json:
        print_json({"stages": [stage.to_json() for stage in plan]})
        return
    table = Table("stage", "action", "artifact", "why", box=None, pad_edge=False)
    for stage in plan:
        style = "green" if stage.action == "cached" else "yellow"
        reasons = Text("\n".join(stage.reasons))  # as they are: values of the recipe may look like markup
        table.add_row(stage.stage, f"[{style}]{stage.action}[/]", stage.fingerprint[:12], reasons)
    print_whole(console(), table)
    num_builds = sum(stage.action == "build" for stage in plan)
    console().print(f"{num_builds} of {len(plan)} stages to build")
