"""The counts of the stage, by source and split, put together from those of its units."""

from collections.abc import Mapping, Sequence
from typing import Any

from pretrain.shard.config import ShardConfig
from pretrain.shard.plan import SPLITS, ShardPlan
from pretrain.shard.scatter import NOT_DRAWN, OTHER_SHARD
from pretrain.stage import Receipt, Stats, sum_stats


def make_stats(config: ShardConfig, plan: ShardPlan, scattered: Sequence[Receipt], written: Sequence[Receipt]) -> Stats:
    """The counts for the manifest.

    `mixture` has for each source that the recipe names, or all where cluster sizes weight them: `asked` (its part of
    the recipe), `documents` and `bytes` that it has in train, `documents_out` and `bytes_out` that it gives with
    repeats, `repeats`, and `epochs`: bytes_out / bytes, to 6 decimals.
    """
    counts, given = sum_stats(written), _counts_by_source(scattered)
    by_source, by_reason = _dropped(given)
    return {
        "documents_in": sum(given["documents_in"].values()),
        "documents_out": counts["documents_out"],
        "documents_dropped": sum(by_reason.values()),
        "documents_repeated": sum(given["repeats"].values()),
        "bytes_in": given["bytes_in"],
        "bytes_out": counts["bytes_out"],
        "dropped_by_reason": by_reason,
        "dropped_by_source": by_source,
        "documents_by_source": given["documents_out"],
        "documents_by_split": _by_split(counts["documents_by_split"]),
        "bytes_by_split": _by_split(counts["bytes_by_split"]),
        "parts": {"train": len(plan.train.part_sizes), "validation": len(plan.validation.part_sizes)},
        "mixture": {
            source: _of_source(config, source, given)
            for source in given["documents_in"]
            if source in config.mixture or config.weight_by_cluster_size
        },
    }


def _counts_by_source(scattered: Sequence[Receipt]) -> Stats:
    return sum_stats([receipt.model_copy(update={"stats": receipt.stats["counts"]}) for receipt in scattered])


def _dropped(given: Stats) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """Documents that are in no split, by source and reason, and by reason."""
    by_source: dict[str, dict[str, int]] = {}
    by_reason: dict[str, int] = {}
    for reason in (NOT_DRAWN, OTHER_SHARD):
        for source, number in given[reason].items():
            if number:
                by_source.setdefault(source, {})[reason] = number
                by_reason[reason] = by_reason.get(reason, 0) + number
    return dict(sorted(by_source.items())), by_reason


def _of_source(config: ShardConfig, source: str, given: Stats) -> dict[str, Any]:
    share = config.mixture.get(source)
    text_bytes, bytes_out = given["train_bytes"][source], given["train_bytes_out"][source]
    return {
        "asked": {"epochs": 1.0} if share is None else share.model_dump(exclude_none=True),
        "documents": given["train_documents"][source],
        "bytes": text_bytes,
        "documents_out": given["train_documents_out"][source],
        "bytes_out": bytes_out,
        "repeats": given["repeats"][source],
        "epochs": round(bytes_out / text_bytes, 6) if text_bytes else 0.0,
    }


def _by_split(counts: Mapping[str, int]) -> dict[str, int]:
    return {split: counts.get(split, 0) for split in SPLITS}
