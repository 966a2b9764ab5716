"""The `shard` stage: data/train/part-*.parquet and data/validation/part-*.parquet from a stage of documents.

Inputs: role `documents`, and role `clusters` where a dedup stage lies before the stage of the documents (its table of
clusters is taken from `documents` otherwise). Three phases of parallel units: hash every id (4 MB of ids for 1 GB of
text), scatter rows by the part that they go to, sort and write each part. The hashes of the whole corpus, 16 bytes a
document, are held in memory while the cut is planned.
"""

from collections.abc import Sequence

import numpy as np

from pretrain.artifact import Artifact, PartRecord
from pretrain.errors import StageError
from pretrain.shard.clusters import CompanionsUnit, find_companions
from pretrain.shard.config import ShardConfig
from pretrain.shard.gather import GatherUnit, gather_part
from pretrain.shard.plan import SPLITS, Keys, ShardPlan, make_plan
from pretrain.shard.scatter import HashUnit, ScatterUnit, scatter_rows, write_hashes
from pretrain.stage import Receipt, StageContext, Stats, part_name, sum_stats


def build(context: StageContext[ShardConfig]) -> Stats:
    """Splits, orders and cuts the documents, and returns the counts for the manifest.

    Raises:
        StageError: there is no document.
    """
    documents = context.inputs["documents"]
    parts = documents.parts("data/")
    hashes = _hash_ids(context, documents, parts)
    plan = make_plan(hashes, context.config)
    if not plan.train.num_documents:
        raise StageError(
            f"no document reached shard: {documents.key} holds none; loosen the rules before it, or check the sources"
        )
    scattered = _scatter(context, parts, hashes, plan)
    written = _gather(context, scattered, plan)
    counts = sum_stats(written)
    return {
        "documents_in": sum(len(part) for part in hashes),
        "documents_out": counts["documents_out"],
        "documents_dropped": 0,
        "bytes_in": sum(receipt.stats["bytes_in"] for receipt in scattered),
        "bytes_out": counts["bytes_out"],
        "documents_by_split": _by_split(counts["documents_by_split"]),
        "bytes_by_split": _by_split(counts["bytes_by_split"]),
        "parts": {"train": len(plan.train.part_sizes), "validation": len(plan.validation.part_sizes)},
    }


def _hash_ids(context: StageContext[ShardConfig], documents: Artifact, parts: Sequence[PartRecord]) -> list[Keys]:
    companions = CompanionsUnit(context.inputs.get("clusters", documents))
    [found] = context.run_units([("companions", companions)], find_companions, label="cluster tables read")
    has_companions = found.stats["companions"] > 0
    units = [
        (f"hashes-{index:05d}", HashUnit(documents, part, context.seed, has_companions, _hashes_path(index)))
        for index, part in enumerate(parts)
    ]
    context.run_units(units, write_hashes, label="parts hashed")
    store, folder = context.store, context.artifact_key
    paths = [store.local_file(f"{folder}/{unit.path}") for _, unit in units]
    return [np.load(path, allow_pickle=False) for path in paths]


def _scatter(
    context: StageContext[ShardConfig], parts: Sequence[PartRecord], hashes: Sequence[Keys], plan: ShardPlan
) -> list[Receipt]:
    units = []
    train = validation = 0
    for index, part in enumerate(parts):
        arrivals = None if context.config.shuffle else (train, validation)
        unit = ScatterUnit(
            context.inputs["documents"], part, _hashes_path(index), plan, arrivals, _scattered_path(index)
        )
        units.append((f"scatter-{index:05d}", unit))
        in_validation = int((hashes[index][:, 0] < plan.threshold).sum())
        train, validation = train + len(hashes[index]) - in_validation, validation + in_validation
    return context.run_units(units, scatter_rows, label="parts scattered")


def _gather(context: StageContext[ShardConfig], scattered: Sequence[Receipt], plan: ShardPlan) -> list[Receipt]:
    batches_of: dict[int, list[tuple[str, list[int]]]] = {}
    for index, receipt in enumerate(scattered):
        by_target: dict[int, list[int]] = {}
        for batch, target in enumerate(receipt.stats["targets"]):
            by_target.setdefault(target, []).append(batch)
        for target, batches in by_target.items():
            batches_of.setdefault(target, []).append((_scattered_path(index), batches))
    units = []
    target = 0
    for split, split_plan in zip(SPLITS, (plan.train, plan.validation), strict=True):
        for part in range(len(split_plan.part_sizes)):
            name = part_name(part)
            unit = GatherUnit(split, batches_of.get(target, []), f"data/{split}/{name}.parquet")
            units.append((f"{split}-{name}", unit))
            target += 1
    return context.run_units(units, gather_part, label="parts written")


def _by_split(counts: dict[str, int]) -> dict[str, int]:
    return {split: counts.get(split, 0) for split in SPLITS}


def _hashes_path(index: int) -> str:
    return f"scratch/hashes/{part_name(index)}.npy"


def _scattered_path(index: int) -> str:
    return f"scratch/scattered/{part_name(index)}.arrow"
