"""What `pretrain run` prints at its end: the stages, the losses, the scores, a sample, and what to type next."""

import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pretrain.artifact import Artifact, read_manifest
from pretrain.cli.common import console, shown_number
from pretrain.cli.funnel import print_funnel
from pretrain.errors import DamagedArtifactError, StageError
from pretrain.funnel import make_funnel
from pretrain.runs import RunRecord, StageRecord
from pretrain.spec import RunSpec
from pretrain.store import open_store


def print_summary(spec: RunSpec, record: RunRecord) -> None:
    """Prints a run for people to stdout."""
    out = console()
    _print_stages(out, record)
    _print_funnel(out, record)
    by_stage = {stage.stage: stage for stage in record.stages}
    if "train" in by_stage:
        _print_losses(out, by_stage)
    if "eval" in by_stage:
        _print_scores(out, by_stage["eval"].stats)
    if "train" in by_stage:
        _print_sample(out, spec, by_stage["train"])
    out.print(f"\nrun {record.run_id} {record.state} in {record.seconds:.1f} s, store {record.store}")
    for command in _next_commands(spec, record):
        out.print(f"  {command}" if command[-1] != ":" else command, markup=False)


def _print_stages(out: Console, record: RunRecord) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("stage")
    for name in ("documents in", "documents out", "tokens", "seconds"):
        table.add_column(name, justify="right")
    table.add_column("")
    for stage in record.stages:
        names = ("documents_in", "documents_out", "tokens")
        counts = [shown_number(stage.stats.get(name)) for name in names]
        style = "green" if stage.action == "cached" else "yellow"
        table.add_row(stage.stage, *counts, f"{stage.seconds:.1f}", f"[{style}]{stage.action}[/]")
    out.print(table)


def _print_funnel(out: Console, record: RunRecord) -> None:
    try:
        funnel = make_funnel(record.stages)
    except StageError as error:
        out.print(f"\n{error}", markup=False, style="red")
        return
    if funnel is not None:
        out.print()
        print_funnel(out, funnel)


def _print_losses(out: Console, by_stage: dict[str, StageRecord]) -> None:
    train = by_stage["train"].stats
    before, after = train.get("validation_loss_first"), train.get("validation_loss")
    packed = by_stage["pack"].stats if "pack" in by_stage else {}
    models = [(name, packed.get(f"{name}_loss")) for name in ("unigram", "bigram")]
    if before is None or after is None:
        return
    words = f"\nvalidation loss {before:.3f} before training, {after:.3f} after {train.get('steps')} steps"
    shown = [f"{name} model {loss:.3f}" for name, loss in models if loss is not None]
    words += f" ({', '.join(shown)})" if shown else ""
    bits = train.get("bits_per_byte")
    words += f"; {bits:.3f} bits per byte" if bits is not None and math.isfinite(bits) else ""
    out.print(words)


def _print_scores(out: Console, stats: dict[str, Any]) -> None:
    results, chances = stats.get("results", {}), stats.get("chance", {})
    rows = {(task, metric) for tasks in results.values() for task, metrics in tasks.items() for metric in metrics}
    columns = ["chance"] if chances else []
    table = Table("task", "metric", *columns, *results, box=None, pad_edge=False)
    for task, metric in sorted(rows):
        if metric.endswith("_stderr"):
            continue
        chance = chances.get(task) if metric.startswith("acc") else None
        guessed = [shown_number(chance) if chance is not None else ""] if chances else []
        table.add_row(task, metric, *guessed, *(_score(tasks.get(task, {}), metric) for tasks in results.values()))
    out.print()
    out.print(table)


def _score(metrics: dict[str, Any], metric: str) -> str:
    error = metrics.get(f"{metric}_stderr")
    return shown_number(metrics.get(metric)) + (f" ± {error:.2g}" if error is not None else "")


def _print_sample(out: Console, spec: RunSpec, train: StageRecord) -> None:
    store = open_store(spec.store)
    manifest = read_manifest(store, "train", train.fingerprint)
    if manifest is None:
        return
    artifact = Artifact(store, manifest)
    for part in artifact.parts("samples/"):
        try:
            lines = artifact.open_part(part).read_text(encoding="utf-8").splitlines()
        except DamagedArtifactError as error:
            out.print(f"\n{error}", markup=False)
            return
        for sample in map(json.loads, lines[:1]):
            out.print(f"\nsample after {sample['prompt']!r}:", markup=False)
            out.print(f"{sample['prompt']}{sample['text']}", markup=False, style="cyan")


def _next_commands(spec: RunSpec, record: RunRecord) -> list[str]:
    program = _program()
    store = "" if _shown_path(spec.store) == "store" else f" --store {_shown_path(spec.store)}"
    if record.error is not None:
        return ["resume with:", record.error.resume.replace("pretrain", program, 1)]
    commands = []
    if any(stage.stage == "train" for stage in record.stages):
        commands.append(f'{program} sample latest --prompt "def "{store}')
    commands.append(f"{program} plan {_shown_path(spec.recipe)} --set train.learning_rate=0.002{store}")
    commands.append(f'{program} why "a piece of a text"{store}')
    return ["next:", *commands]


def _program() -> str:
    """How the command was called, so that what is printed can be typed as it is."""
    called = Path(sys.argv[0])
    return _shown_path(str(called)) if called.name == "pretrain" and not shutil.which("pretrain") else "pretrain"


def _shown_path(path: str) -> str:
    """A path relative to the current folder where it lies below."""
    return str(Path(path).relative_to(Path.cwd())) if Path(path).is_relative_to(Path.cwd()) else path
