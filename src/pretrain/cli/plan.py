"""`pretrain plan RECIPE`: what a run would build, which keys or inputs make it so, and what it would cost."""

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
    shown_bytes,
    shown_number,
)
from pretrain.estimates import Estimate, Quantity
from pretrain.modeling.hardware import DEFAULT_MFU, parse_hardware


def plan_command(
    recipe: Annotated[Path, typer.Argument(help="The recipe (YAML).")],
    overrides: SetOption = None,
    until: Annotated[str | None, typer.Option(help="Last stage wanted.")] = None,
    hardware: Annotated[
        str | None, typer.Option(help="What to train on, for the expected hours: h100, 8xh100, a100, ...")
    ] = None,
    mfu: Annotated[float, typer.Option(help="The share of the hardware's peak that training reaches.")] = DEFAULT_MFU,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Show what a run would build and why, and what can be said of its cost. Touches nothing."""
    from pretrain.planning import make_estimates, make_plan
    from pretrain.spec import RunSpec

    with errors_end_the_command():
        spec = RunSpec(recipe=str(recipe), store=store, overrides=overrides or [], until=until).resolved()
        trained_on = parse_hardware(hardware, mfu) if hardware is not None else None
        pipeline = spec.pipeline()
        plan = make_plan(pipeline, until)
        estimates = make_estimates(pipeline, plan, trained_on)
    if as_json:
        shown = {
            stage: {name: value.to_json() for name, value in values.items()} for stage, values in estimates.items()
        }
        print_json({"stages": [{**stage.to_json(), "estimate": shown.get(stage.stage, {})} for stage in plan]})
        return
    table = Table("stage", "action", "artifact", "why", box=None, pad_edge=False)
    for stage in plan:
        style = "green" if stage.action == "cached" else "yellow"
        reasons = Text("\n".join(stage.reasons))  # as they are: values of the recipe may look like markup
        table.add_row(stage.stage, f"[{style}]{stage.action}[/]", stage.fingerprint[:12], reasons)
    print_whole(console(), table)
    num_builds = sum(stage.action == "build" for stage in plan)
    console().print(f"{num_builds} of {len(plan)} stages to build")
    for stage_name, values in estimates.items():
        _print_estimate(stage_name, values)


def _print_estimate(stage: str, values: Estimate) -> None:
    console().print(f"\n[bold]{stage}[/], as estimated")
    table = Table("", "", show_header=False, box=None, pad_edge=False)
    for name, quantity in values.items():
        table.add_row(f"  {name}", Text(_shown(quantity)))
    print_whole(console(), table)


def _shown(quantity: Quantity) -> str:
    if quantity.unit == "bytes" and isinstance(quantity.value, int):
        return shown_bytes(quantity.value)
    return f"{shown_number(quantity.value)} {quantity.unit}".rstrip()
