"""The `shard` stage: data/train/part-*.parquet and data/validation/part-*.parquet from a stage of documents.

    data/<split>/part-00000.parquet   the documents; one that a mixture repeats has a row for each time, of the same id
    ledger/part-00000.parquet         documents that are in no split; only where the recipe asks for that:
                                      `other_shard`, or `mixture_not_drawn` (value: the draw; threshold: the epochs)

Inputs: role `documents`, and role `clusters` where a dedup stage lies before the stage of the documents (its table of
clusters is taken from `documents` otherwise). Three phases of parallel units: hash every id, scatter rows by the slice
of a part that they go to, sort and write each part. docs/shard.md says what is held in memory.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pretrain.artifact import PartRecord
from pretrain.errors import RecipeError, StageError
from pretrain.shard.accounting import make_stats
from pretrain.shard.clusters import Clusters, MembersUnit, find_members
from pretrain.shard.config import ShardConfig
from pretrain.shard.gather import SLICE_BYTES, GatherUnit, Sources, gather_part
from pretrain.shard.mixture import resolve_epochs
from pretrain.shard.plan import (
    SPLITS,
    Rules,
    ShardPlan,
    cut,
    even_sizes,
    kept_range,
    split_sizes,
    validation_threshold,
)
from pretrain.shard.records import Keys, RecordFile, RecordFiles, Records, RecordsUnit, find_records, write_records
from pretrain.shard.scatter import ScatterUnit, scatter_rows
from pretrain.stage import Receipt, StageContext, Stats, UnitFiles, part_name


class _Input(NamedTuple):
    """The input parts, what is known of their documents, and the mean bytes of a document in all columns."""

    parts: list[PartRecord]
    records: Sequence[Records]
    row_bytes: float


def build(context: StageContext[ShardConfig]) -> Stats:
    """Mixes, splits, orders and cuts the documents.

    Returns:
        documents_in, documents_out (rows written), documents_dropped, documents_repeated (rows beyond the first of a
        document: in = out - repeated + dropped), bytes_in and bytes_out (of UTF-8 text), dropped_by_reason,
        dropped_by_source (by reason), documents_by_source (rows written), documents_by_split, bytes_by_split, parts
        {split: n}, and mixture {source: what was asked, and what it has and gives: see `pretrain.shard.accounting`}.

    Raises:
        RecipeError: the mixture names a source that is not there, or asks more of one than `max_epochs`; or there
            are weights by cluster size and no clusters.
        StageError: there is no document, or none is left for train.
    """
    given = _read_ids(context)
    plan = _plan(context, given)
    scattered = _scatter(context, given, plan)
    written = _gather(context, scattered, plan)
    return make_stats(context.config, plan, scattered, written)


def _read_ids(context: StageContext[ShardConfig]) -> _Input:
    documents, config = context.inputs["documents"], context.config
    parts = documents.parts("data/")
    has_traits = _is_mixed(config)
    clusters = _find_members(context)
    units = [
        (f"records-{index:05d}", RecordsUnit(documents, part, context.seed, has_traits, clusters, _records_name(index)))
        for index, part in enumerate(parts)
    ]
    receipts = context.run_units(units, write_records, label="parts hashed")
    files = UnitFiles(context.store, context.artifact_key)
    records: list[RecordFile] = []
    num_documents = row_bytes = 0
    for (_, unit), receipt in zip(units, receipts, strict=True):
        records.append(find_records(files, unit.name, receipt.stats["sources"], num_documents))
        num_documents += receipt.stats["documents_in"]
        row_bytes += receipt.stats["row_bytes"]
    if not num_documents:
        raise StageError(
            f"no document reached shard: {documents.key} holds none; loosen the rules before it, or check the sources"
        )
    return _Input(parts, RecordFiles(records), row_bytes / num_documents)


def _is_mixed(config: ShardConfig) -> bool:
    return bool(config.mixture or config.weight_by_cluster_size)


def _find_members(context: StageContext[ShardConfig]) -> Clusters | None:
    artifact = context.inputs.get("clusters", context.inputs["documents"])
    sizes = sorted(context.config.weight_by_cluster_size)
    if sizes and not artifact.parts("clusters/"):
        raise RecipeError(
            f"shard.weight_by_cluster_size weights clusters, but {artifact.key} has none: give the recipe a dedup "
            "stage, or leave it out"
        )
    unit = MembersUnit(artifact, sizes[0] if sizes else None)
    [found] = context.run_units([("members", unit)], find_members, label="cluster tables read")
    return Clusters(tuple(sizes)) if found.stats["members"] else None


def _plan(context: StageContext[ShardConfig], given: _Input) -> ShardPlan:
    config, records = context.config, given.records
    num_documents = sum(len(part.hashes) for part in records)
    kept = range(num_documents)
    if config.keep_shard is not None:
        shard = config.keep_shard
        kept = kept_range(num_documents, shard.num_shards, shard.index, contiguous=shard.contiguous)
    weights = (1.0, *(weight for _, weight in sorted(config.weight_by_cluster_size.items())))
    rules = Rules(0, kept, {}, weights, None if config.shuffle else num_documents)

    def split_hashes() -> Iterator[Keys]:
        return (part.hashes[:, 0][rules.is_kept(part)] for part in records)

    rules = rules._replace(threshold=validation_threshold(split_hashes, config.validation_fraction))
    if _is_mixed(config):
        rules = rules._replace(epochs=resolve_epochs(records, rules, config))
    train, validation = split_sizes(records, rules)
    if not train:
        raise StageError(
            f"no document is left for train: {num_documents:,} came, {len(kept):,} of them in the shard that is kept, "
            f"and {validation:,} are in validation; change shard.mixture or shard.keep_shard, or bring more documents"
        )
    part_sizes = even_sizes(train, config.parts)
    rows_of_slice = max(1, int(SLICE_BYTES / max(given.row_bytes, 1)))
    validation_sizes = even_sizes(validation, -(-validation // part_sizes[0]))
    return ShardPlan(
        rules,
        cut(_keys_of(records, rules, is_validation=False), part_sizes, rows_of_slice),
        cut(_keys_of(records, rules, is_validation=True), validation_sizes, rows_of_slice),
    )


def _keys_of(records: Sequence[Records], rules: Rules, *, is_validation: bool) -> Callable[[], Iterator[Keys]]:
    def keys() -> Iterator[Keys]:
        for part in records:
            placement = rules.place(part)
            yield placement.keys[placement.in_validation == is_validation]

    return keys


def _scatter(context: StageContext[ShardConfig], given: _Input, plan: ShardPlan) -> list[Receipt]:
    has_ledger = _is_mixed(context.config) or context.config.keep_shard is not None
    units = []
    for index, (part, records) in enumerate(zip(given.parts, given.records, strict=True)):
        unit = ScatterUnit(
            context.inputs["documents"],
            part,
            _records_name(index),
            records.sources if records.traits is not None else (),
            records.first_arrival,
            plan,
            context.stage,
            _scattered_path(index),
            f"ledger/{part_name(index)}.parquet" if has_ledger else None,
        )
        units.append((f"scatter-{index:05d}", unit))
    return context.run_units(units, scatter_rows, label="parts scattered")


def _gather(context: StageContext[ShardConfig], scattered: Sequence[Receipt], plan: ShardPlan) -> list[Receipt]:
    batches_of: dict[int, Sources] = {}
    for index, receipt in enumerate(scattered):
        by_target: dict[int, list[int]] = {}
        for batch, target in enumerate(receipt.stats["targets"]):
            by_target.setdefault(target, []).append(batch)
        for target, batches in by_target.items():
            batches_of.setdefault(target, []).append((_scattered_path(index), batches))
    units = []
    target = 0
    for split, split_plan in zip(SPLITS, (plan.train, plan.validation), strict=True):
        for part, num_slices in enumerate(split_plan.slices):
            slices = [batches_of.get(number, []) for number in range(target, target + num_slices)]
            unit = GatherUnit(split, slices, f"data/{split}/{part_name(part)}.parquet")
            units.append((f"{split}-{part_name(part)}", unit))
            target += num_slices
    return context.run_units(units, gather_part, label="parts written")


def _records_name(index: int) -> str:
    return f"scratch/records/{part_name(index)}"


def _scattered_path(index: int) -> str:
    return f"scratch/scattered/{part_name(index)}.arrow"
