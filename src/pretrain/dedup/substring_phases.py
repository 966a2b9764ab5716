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
    layout, keep = phases.layout, phases.context.config.keep
    budget, span = layout.budget_bytes, config.min_bytes - config.anchor_bytes + 1
    left = [
        LeftPart(part, slices(decided, group.number), phases.edits(edits, group)) for group, part in phases.new_parts()
    ]
    starts = [*(each.part.start for each in left), layout.num_documents]
    # New anchors begin about every span / 2 bytes.
    num_partitions = layout.num_partitions(layout.num_documents + 2 * text_bytes // span, ANCHOR_ROW_BYTES)
    scattered = phases.run(
        "anchors-scatter",
        [
            AnchorScatterUnit(layout.name("anchors-scatter", number), each, config, num_partitions, budget)
            for number, each in enumerate(left)
        ],
        scatter_anchors,
        "parts cut into anchors",
    )
    anchors = phases.run(
        "anchors",
        [
            AnchorCountUnit(layout.name("anchors", number), slices(scattered, number), starts, budget)
            for number in range(num_partitions)
        ],
        count_anchors,
        "partitions of anchors",
    )
    num_windows = sum(receipt.stats["shared"] for receipt in anchors) * span
    num_partitions = layout.num_partitions(num_windows, WINDOW_ROW_BYTES)
    scattered = phases.run(
        "windows-scatter",
        [
            WindowScatterUnit(
                layout.name("windows-scatter", number),
                each,
                slices(anchors, number),
                config,
                keep,
                num_partitions,
                budget,
            )
            for number, each in enumerate(left)
        ],
        scatter_windows,
        "parts cut into windows",
    )
    matched = phases.run(
        "windows",
        [
            WindowMatchUnit(layout.name("windows", number), slices(scattered, number), config.min_bytes, starts, budget)
            for number in range(num_partitions)
        ],
        match_windows,
        "partitions of windows",
    )
    return [Spans(slices(matched, number), config.min_bytes) for number in range(len(left))]
