"""The phases that find repeated substrings: names of units, and which slices each of them reads."""

from pretrain.dedup.config import SubstringsConfig
from pretrain.dedup.phases import Phases
from pretrain.dedup.shuffle import slices
from pretrain.dedup.spans import Spans
from pretrain.dedup.substrings import (
    ANCHOR_ROW_BYTES,
    WINDOW_ROW_BYTES,
    AnchorCountUnit,
    AnchorScatterUnit,
    LeftPart,
    WindowMatchUnit,
    WindowScatterUnit,
    count_anchors,
    match_windows,
    scatter_anchors,
    scatter_windows,
)
from pretrain.stage import Receipt


def find_substrings(
    phases: Phases, decided: list[Receipt], edits: list[Receipt], config: SubstringsConfig, text_bytes: int
) -> list[Spans]:
    """Finds the spans to cut from what the earlier steps leave; one answer a part, in order.

    Raises:
        StageError: a unit does not fit the memory limit.
    """
    layout = phases.layout
    left = [
        LeftPart(part, slices(decided, group.number), phases.edits(edits, group)) for group, part in phases.new_parts()
    ]
    starts = [*(each.part.start for each in left), layout.num_documents]
    anchors = _share_anchors(phases, left, starts, config, text_bytes)
    num_windows = sum(receipt.stats["shared"] for receipt in anchors) * _span(config)
    num_partitions, budget = layout.num_partitions(num_windows, WINDOW_ROW_BYTES), layout.budget_bytes
    units = [
        WindowScatterUnit(
            layout.name("windows-scatter", number),
            each,
            slices(anchors, number),
            config,
            phases.context.config.keep,
            num_partitions,
            budget,
        )
        for number, each in enumerate(left)
    ]
    scattered = phases.run("windows-scatter", units, scatter_windows, "parts cut into windows")
    matches = [
        WindowMatchUnit(layout.name("windows", number), slices(scattered, number), config.min_bytes, starts, budget)
        for number in range(num_partitions)
    ]
    matched = phases.run("windows", matches, match_windows, "partitions of windows")
    return [Spans(slices(matched, number), config.min_bytes) for number in range(len(left))]


def _share_anchors(
    phases: Phases, left: list[LeftPart], starts: list[int], config: SubstringsConfig, text_bytes: int
) -> list[Receipt]:
    """Finds the anchors that several documents have."""
    layout, budget = phases.layout, phases.layout.budget_bytes
    # New anchors begin about every span / 2 bytes.
    num_rows = layout.num_documents + 2 * text_bytes // _span(config)
    num_partitions = layout.num_partitions(num_rows, ANCHOR_ROW_BYTES)
    units = [
        AnchorScatterUnit(layout.name("anchors-scatter", number), each, config, num_partitions, budget)
        for number, each in enumerate(left)
    ]
    scattered = phases.run("anchors-scatter", units, scatter_anchors, "parts cut into anchors")
    counts = [
        AnchorCountUnit(layout.name("anchors", number), slices(scattered, number), starts, budget)
        for number in range(num_partitions)
    ]
    return phases.run("anchors", counts, count_anchors, "partitions of anchors")


def _span(config: SubstringsConfig) -> int:
    return config.min_bytes - config.anchor_bytes + 1
