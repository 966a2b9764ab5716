"""`pretrain ls`, `pretrain show` and `pretrain verify`: what the store holds, and whether it is intact."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from pretrain.cli.common import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    byte_progress,
    console,
    errors_end_the_command,
    print_json,
    shown_bytes,
    shown_number,
)
from pretrain.cli.lineage import lineage_tree

if TYPE_CHECKING:
    from pretrain.verification import Finding


def ls_command(store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False) -> None:
    """List the artifacts and runs in the store."""
    from pretrain.catalog import artifacts_in, runs_in
    from pretrain.store import open_store

    with errors_end_the_command():
        place = open_store(store)
        artifacts, runs = artifacts_in(place), runs_in(place)
    if as_json:
        print_json({"artifacts": artifacts, "runs": runs})
        return
    table = Table("artifact", "parts", "size", "rows", "created", box=None, pad_edge=False)
    for entry in artifacts:
        name = f"{entry['stage']}/{entry['fingerprint'][:12]}"
        counts = (str(entry["parts"]), shown_bytes(entry["bytes"]), shown_number(entry["rows"]))
        table.add_row(name, *counts, str(entry["created"]))
    console().print(table)
    table = Table("run", "state", "seconds", "stages", box=None, pad_edge=False)
    for run in runs:
        table.add_row(run["run_id"], run["state"], shown_number(run["seconds"]), str(run["stages"]))
    console().print(table)


def show_command(
    artifact: Annotated[str, typer.Argument(help="STAGE/FINGERPRINT; a unique beginning is enough.")],
    full_lineage: Annotated[bool, typer.Option("--lineage", help="The tree down to source files and hashes.")] = False,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Show one artifact: its stats, parts and lineage. With --json, its manifest, or the tree with --lineage too."""
    from pretrain.catalog import find_artifact
    from pretrain.dag import views
    from pretrain.lineage import lineage, trace
    from pretrain.store import open_store

    with errors_end_the_command():
        place = open_store(store)
        found = find_artifact(place, artifact)
        manifest = found.manifest
        tree = trace(found) if full_lineage else None
        ancestors = [] if full_lineage else lineage(place, manifest)
    if tree is not None:
        print_json(tree.to_json()) if as_json else console().print(lineage_tree(tree))
        return
    if as_json:
        print_json(manifest.model_dump(mode="json"))
        return
    out = console()
    out.print(f"[bold]{manifest.stage}/{manifest.fingerprint}[/]  (stage version {manifest.stage_version})")
    _print_mapping("stats", manifest.reported_stats())
    _print_mapping("config", manifest.config)
    _print_mapping("provenance", {k: v for k, v in manifest.provenance.items() if k != "measured"})
    out.print("[bold]parts[/]")
    for part in manifest.parts:
        out.print(f"  {part.path}  {shown_number(part.rows)} rows  {shown_bytes(part.bytes)}", markup=False)
    with errors_end_the_command():
        for title, lines in views(found):
            out.print(title, style="bold")
            for line in lines:
                out.print(f"  {line}", markup=False)
    out.print("[bold]lineage[/]")
    for depth, name in ancestors:
        out.print(f"  {'  ' * depth}{name}", markup=False)


def verify_command(
    artifacts: Annotated[list[str] | None, typer.Argument(help="STAGE/FINGERPRINT; none means all.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove damaged parts, for a run to rebuild.")] = False,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Read every byte and compare it with the manifests. Exit code 1 when something is damaged."""
    from pretrain.catalog import find_folder
    from pretrain.dag import NODES
    from pretrain.store import open_store
    from pretrain.verification import open_all, remove_damaged, verify

    with errors_end_the_command():
        place = open_store(store)
        chosen, findings = open_all(place, [find_folder(place, name) for name in artifacts] if artifacts else None)
        num_parts = sum(len(artifact.manifest.parts) for artifact in chosen)
        num_bytes = sum(part.bytes for artifact in chosen for part in artifact.manifest.parts)
        with byte_progress("reading", num_bytes) as advance:
            findings += verify(chosen, advance)
        removed = remove_damaged(chosen, findings) if remove else []
    order = {node.name: place for place, node in enumerate(NODES)}
    findings.sort(key=lambda found: (order.get(found.artifact.partition("/")[0], 0), found.artifact, found.path))
    if as_json:
        summary = {"artifacts": len(chosen), "parts": num_parts, "bytes": num_bytes, "damaged": _rows(findings)}
        print_json({**summary, "removed": _rows(removed)} if remove else summary)
    else:
        for found in findings:
            console().print(f"damaged: {found.artifact}/{found.path} ({found.problem})", style="red", markup=False)
        size = shown_bytes(num_bytes)
        verdict = _verdict(findings, len(removed), place.is_local)
        console().print(
            f"{len(chosen)} artifacts, {num_parts} parts, {size} read: {verdict}"
            if chosen or findings
            else f"no artifacts in {place.url}: nothing was verified",
            markup=False,
        )
    if findings:
        raise typer.Exit(1)


def _rows(findings: "Sequence[Finding]") -> list[dict[str, str]]:
    return [{"artifact": found.artifact, "path": found.path, "problem": found.problem} for found in findings]


def _verdict(findings: "Sequence[Finding]", num_removed: int, is_local: bool) -> str:
    from pretrain.verification import NEWER

    if not findings:
        return "all intact"
    newer = [found for found in findings if found.problem == NEWER]
    advice = ["upgrade pretrain for what is newer"] if newer else []
    if len(findings) > len(newer):
        stays = not is_local and not num_removed and any(found.problem == "wrong sha256" for found in findings)
        first = "repeat with --remove, then " if stays else ""
        advice.append(f"{first}run the recipe again to rebuild {'them' if not newer else 'the others'}")
    done = f", {num_removed} removed" if num_removed else ""
    return f"{len(findings)} damaged{done}; {'; '.join(advice)}"


def _print_mapping(title: str, values: dict[str, Any]) -> None:
    console().print(f"[bold]{title}[/]")
    for key, value in values.items():
        if isinstance(value, dict) and value:
            for name, item in value.items():
                console().print(f"  {key}.{name}: {shown_number(item)}", markup=False)
        else:
            console().print(f"  {key}: {shown_number(value)}", markup=False)
