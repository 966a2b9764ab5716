"""`pretrain gc`: what no kept run refers to, named, and removed when asked."""

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from pretrain.cli.common import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    console,
    errors_end_the_command,
    print_json,
    print_whole,
    shown_bytes,
)

if TYPE_CHECKING:
    from pretrain.gc import Garbage, Survey
    from pretrain.leases import Watch
    from pretrain.store import Store

KeepRunsOption = Annotated[int, typer.Option(min=0, help="How many of the newest runs to keep all of.")]
KeepOption = Annotated[list[str] | None, typer.Option("--keep", metavar="RUN", help="A run to keep as well.")]
GraceOption = Annotated[float, typer.Option(min=0.0, help="Keep what was written in the last so many hours.")]
ApplyOption = Annotated[bool, typer.Option("--apply", help="Remove it; without this, only say what would go.")]


def gc_command(
    keep_runs: KeepRunsOption = 10,
    keep: KeepOption = None,
    grace_hours: GraceOption = 24.0,
    apply: ApplyOption = False,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Name, and with --apply remove, what no kept run and no run at work needs. Safe beside running flows."""
    from pretrain.gc import Keep, collect, survey
    from pretrain.leases import Watch
    from pretrain.store import open_store

    with errors_end_the_command():
        place, watch = open_store(store), Watch(open_store(store))
        kept = Keep(keep_runs, tuple(keep or ()), grace_hours * 3600)
        if apply:
            _find_the_dead(place, watch)
        found = survey(place, kept, watch, time.time())
        if not as_json:
            _print(found)
        removed: list[Garbage] = []
        if apply:
            with _bar(len(found.garbage)) as bar:
                task = bar.add_task("removing", total=len(found.garbage))
                removed = collect(place, kept, lambda item: bar.advance(task), watch=watch)
    if as_json:
        print_json(_as_json(found, removed, apply))
    else:
        _print_end(found, removed, apply)


def _find_the_dead(store: "Store", watch: "Watch") -> None:
    from pretrain.gc import suspects
    from pretrain.leases import LEASES, SILENCE_SECONDS, SWEEPS

    num_suspects = suspects(store, time.time())  # of a clock that is wrong comes a needless wait, or none
    for folder in (LEASES, SWEEPS):
        watch.living(folder)
    if num_suspects:
        text = f"{num_suspects} leases look dead: watching for {SILENCE_SECONDS:.0f} s whether a run renews them"
        console(stderr=True).print(text, markup=False)
        time.sleep(SILENCE_SECONDS + 1)


def _bar(total: int) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    out = console(stderr=True)
    return Progress(*columns, console=out, transient=True, disable=not out.is_terminal or total == 0)


def _print(found: "Survey") -> None:
    table = Table("what", "name", "files", "size", "last written", box=None, pad_edge=False)
    for item in found.garbage:
        age = f"{item.age_seconds / 3600:.1f} h ago"
        table.add_row(item.kind, item.name, str(item.num_files), shown_bytes(item.bytes), age)
    if found.garbage:
        print_whole(console(), table)
    runs = f"{len(found.runs)} runs and {len(found.kept)} artifacts are kept"
    console().print(f"{runs}, {found.num_young} things are too young, {found.num_living} runs are at work")


def _print_end(found: "Survey", removed: "list[Garbage]", apply: bool) -> None:
    chosen = removed if apply else found.garbage
    counts = Counter(item.kind for item in chosen)
    plural = {kind: kind if count == 1 or kind.endswith("s") else f"{kind}s" for kind, count in counts.items()}
    what = ", ".join(f"{count} {plural[kind]}" for kind, count in counts.items())
    size = shown_bytes(sum(item.bytes for item in chosen))
    if not chosen:
        console().print("nothing to remove")
    elif apply:
        console().print(f"removed {what}: {size} freed")
    else:
        console().print(f"would remove {what}: {size}; the same command with --apply does it")


def _as_json(found: "Survey", removed: "list[Garbage]", apply: bool) -> dict[str, Any]:
    def row(item: "Garbage") -> dict[str, Any]:
        return {
            "kind": item.kind,
            "name": item.name,
            "files": item.num_files,
            "bytes": item.bytes,
            "age_seconds": round(item.age_seconds, 1),
        }

    chosen = removed if apply else found.garbage
    return {
        "applied": apply,
        "kept_runs": found.runs,
        "kept_artifacts": sorted(found.kept),
        "young": found.num_young,
        "runs_at_work": found.num_living,
        "garbage": [row(item) for item in found.garbage],
        "removed": [row(item) for item in removed],
        "bytes": sum(item.bytes for item in chosen),
    }
