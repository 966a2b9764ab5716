"""The `shard` part of a recipe."""

from pydantic import Field

from pretrain.config import Config

VERSION: int = 1


class ShardConfig(Config):
    """How documents are split, ordered and cut into parts.

    `datasets.Dataset.shard(num_shards, index)` is part `index` of
    `{parts: num_shards, validation_fraction: 0, shuffle: false}`.
    """

    parts: int = Field(
        default=8,
        ge=1,
        le=100_000,
        description="Parts of the train split, equal to within one document, and fewer where there are fewer "
        "documents; validation gets parts no larger than these. One worker holds one part in memory",
    )
    validation_fraction: float = Field(
        default=0.02,
        ge=0,
        le=0.5,
        description="Share of validation, decided by the hash of a document's id and the seed alone (of documents that "
        "dedup keeps of one cluster, by the id of its first); "
        "with two or more documents each side gets at least one. 0 switches the split off",
    )
    shuffle: bool = Field(
        default=True,
        description="Order documents by the hash of their id and the seed, whatever the parts and "
        "order of the input; false keeps the order of arrival within each split",
    )
