"""The largest clusters of an artifact, for people: what was taken for the same, and what stayed of it."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pretrain.artifact import Artifact, read_manifest
from pretrain.columns import select_rows
from pretrain.snippet import one_line, without_credentials

_NUM_CLUSTERS = 5
_NUM_MEMBERS = 10
_EXCERPT_CHARS = 60
_READ_CHARS = 1000


def view(artifact: Artifact) -> Iterator[tuple[str, list[str]]]:
    """A title and lines: the largest clusters, each with the documents that stayed first, then by id.

    A line has whether the document stayed or why it went, its similarity, its id, and its address or first words;
    the last are taken from the artifact that was deduplicated, where the store still has it.
    """
    members = _largest(artifact)
    chosen = [row["id"] for rows in members.values() for row in rows[:_NUM_MEMBERS]]
    went = {
        row["id"]: f"{row['reason']} {row['value']:.2f}"
        for _, row in select_rows(artifact, "ledger/", ["id"], _is_among(chosen), ["id", "reason", "value"])
        if row["value"] is not None
    }
    shown = _descriptions(artifact, chosen)
    lines = []
    for rows in members.values():
        lines.append(f"{rows[0]['size']:,} documents")
        for row in rows[:_NUM_MEMBERS]:
            outcome = "kept" if row["kept"] else went.get(row["id"], "went")
            lines.append(f"  {outcome:<22}  {row['id']}  {shown.get(row['id'], '')}".rstrip())
        if len(rows) > _NUM_MEMBERS:
            lines.append(f"  and {len(rows) - _NUM_MEMBERS:,} more")
    if lines:
        yield "largest clusters", lines


def _largest(artifact: Artifact) -> dict[str, list[dict[str, Any]]]:
    """The rows of the largest clusters, those of equal size by their id."""
    sizes: dict[str, int] = {}
    for _, row in select_rows(artifact, "clusters/", ["id", "cluster"], _is_first, ["cluster", "size"]):
        sizes[row["cluster"]] = row["size"]
        if len(sizes) > 100 * _NUM_CLUSTERS:
            sizes = dict(_first(sizes))
    chosen = [cluster for cluster, _ in _first(sizes)]
    members: dict[str, list[dict[str, Any]]] = {cluster: [] for cluster in chosen}
    columns = ["id", "cluster", "size", "kept"]
    for _, row in select_rows(artifact, "clusters/", ["cluster"], _is_among(chosen, "cluster"), columns):
        members[row["cluster"]].append(row)
    for rows in members.values():
        rows.sort(key=lambda row: (not row["kept"], row["id"]))
    return members


def _first(sizes: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:_NUM_CLUSTERS]


def _descriptions(artifact: Artifact, ids: list[str]) -> dict[str, str]:
    found: dict[str, str] = defaultdict(str)
    for record in artifact.manifest.inputs:
        if ":" in record.stage:
            continue
        manifest = read_manifest(artifact.store, record.stage, record.fingerprint)
        if manifest is not None:
            upstream = Artifact(artifact.store, manifest)
            for _, row in select_rows(upstream, "data/", ["id"], _is_among(ids), ["id", "url", "text"]):
                words = row["url"] or without_credentials(row["text"][:_READ_CHARS])
                found[row["id"]] = one_line(words, _EXCERPT_CHARS if not row["url"] else None)
    return found


def _is_among(ids: list[str], column: str = "id") -> Any:
    wanted = pa.array(ids, pa.string())
    return lambda table: pc.is_in(table[column], wanted)


def _is_first(table: pa.Table) -> pa.ChunkedArray:
    return pc.equal(table["id"], table["cluster"])
