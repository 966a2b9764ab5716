"""The last phases: components, decisions, the cluster table, and the documents that stay."""

from typing import NamedTuple

from pretrain.dedup.clusters import ClusterUnit, num_cluster_files, write_clusters
from pretrain.dedup.components import ComponentsUnit, find_components
from pretrain.dedup.decision import DecisionUnit, decide_partition
from pretrain.dedup.guard import ClusterGuard
from pretrain.dedup.phases import Phases
from pretrain.dedup.relations import RelationScatterUnit, scatter_relations
from pretrain.dedup.removal import RemovalUnit, remove_duplicates
from pretrain.dedup.repeats import Edits
from pretrain.dedup.shuffle import Slice, slices
from pretrain.dedup.spans import Spans
from pretrain.dedup.substring_phases import find_substrings
from pretrain.dedup.texts import TextSource
from pretrain.stage import Receipt, Stats, part_name, sum_stats


class Findings(NamedTuple):
    """What the steps found.

    by_source: documents of every source before deduplication.
    text_bytes: of those documents.
    exact: receipts of the units that found exact duplicates.
    edits: of those that found segments to cut.
    same_words: of those that found documents with the same words.
    links: of those that verified pairs.
    """

    by_source: dict[str, int]
    text_bytes: int
    exact: list[Receipt]
    edits: list[Receipt]
    same_words: list[Receipt]
    links: list[Receipt]


def write_outcome(phases: Phases, found: Findings) -> Stats:
    """Decides, and writes `clusters/`, `data/` and `ledger/`; returns their counts."""
    config, num_files = phases.context.config, num_cluster_files(phases.layout.num_documents)
    decided = _decide(phases, found, num_files)
    clusters = _write_clusters(phases, decided, num_files)
    parts = phases.new_parts()
    spans: list[Spans | None] = [None] * len(parts)
    if config.substrings is not None:
        spans = [*find_substrings(phases, decided, found.edits, config.substrings, found.text_bytes)]
    threshold = config.minhash.threshold if config.minhash is not None else 1.0
    units = [
        (
            part_name(part.number),
            RemovalUnit(part, slices(decided, group.number), phases.edits(found.edits, group), of_part, threshold),
        )
        for (group, part), of_part in zip(parts, spans, strict=True)
    ]
    removed = phases.context.run_units(units, remove_duplicates, label="parts written")
    return clusters | sum_stats(removed)


def _decide(phases: Phases, found: Findings, num_files: int) -> list[Receipt]:
    layout, config = phases.layout, phases.context.config
    components_unit = ComponentsUnit(
        layout.name("components", 0),
        _whole(found.exact),
        _whole(found.same_words),
        _whole(found.links),
        layout.starts,
        layout.budget_bytes,
    )
    components = phases.run("components", [components_unit], find_components, "component searches")
    num_rows = components[0].stats["related"] + sum(receipt.stats["verified_pairs"] for receipt in found.links)
    # A multiple, so that the components of one file of clusters are those of certain partitions, whatever the limit.
    partitions = num_files * -(-layout.num_partitions(num_rows) // num_files)
    sources = {name: number for number, name in enumerate(sorted(found.by_source))}
    relations = [
        RelationScatterUnit(
            layout.name("relations", group.number),
            group,
            slices(components, group.number),
            slices(found.exact, group.number),
            slices(found.same_words, group.number),
            slices(found.links, group.number),
            sources,
            config.keep,
            partitions,
        )
        for group in layout.groups
    ]
    scattered = phases.run("relations", relations, scatter_relations, "groups of relations scattered")
    guard = _guard(phases, found)
    units = [
        DecisionUnit(
            layout.name("decisions", number),
            _of_partition(scattered, "documents", number),
            _of_partition(scattered, "links", number),
            config,
            guard,
            layout.starts,
        )
        for number in range(partitions)
    ]
    return phases.run("decisions", units, decide_partition, "decisions")


def _write_clusters(phases: Phases, decided: list[Receipt], num_files: int) -> Stats:
    units = [
        (
            f"clusters-{number:05d}",
            ClusterUnit(
                number,
                tuple(
                    Slice(f"{receipt.unit}-clusters", 0, receipt.stats["cluster_rows"])
                    for receipt in decided[number::num_files]
                    if receipt.stats["cluster_rows"]
                ),
            ),
        )
        for number in range(num_files)
    ]
    written = phases.context.run_units(units, write_clusters, label="files of clusters")
    return {
        "clusters": sum(receipt.stats["clusters"] for receipt in written),
        "largest_cluster": max(receipt.stats["largest_cluster"] for receipt in written),
    }


def _guard(phases: Phases, found: Findings) -> ClusterGuard | None:
    config = phases.context.config
    if config.minhash is None:
        return None
    parts = tuple(part for group in phases.layout.groups for part in group.parts)
    cut = Edits(config.segments, _whole(found.edits)) if config.segments is not None else None
    names = tuple(sorted(found.by_source))
    return ClusterGuard(config.minhash, TextSource(parts, cut), names, tuple(found.by_source[name] for name in names))


def _whole(receipts: list[Receipt]) -> tuple[Slice, ...]:
    """All rows of the files of a phase."""
    found = (Slice(name, 0, bounds[-1]) for receipt in receipts for name, bounds in receipt.stats["files"])
    return tuple(each for each in found if each.last)


def _of_partition(receipts: list[Receipt], kind: str, number: int) -> tuple[Slice, ...]:
    found = (
        Slice(name, bounds[number], bounds[number + 1]) for receipt in receipts for name, bounds in receipt.stats[kind]
    )
    return tuple(each for each in found if each.last > each.first)
