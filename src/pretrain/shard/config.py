"""The `shard` part of a recipe."""

from pydantic import Field, field_validator, model_validator

from pretrain.config import Config

VERSION: int = 2


class SourceShare(Config):
    """How much of one source goes into the train split: exactly one of `epochs`, `tokens` and `weight`."""

    epochs: float | None = Field(
        default=None,
        ge=0,
        description="How often each of its documents is in train. Of a fraction, as many documents as that are drawn, "
        "by the hash of seed and id alone: what 0.5 draws is also drawn by 0.7. 0 leaves the source out of train",
    )
    tokens: int | None = Field(
        default=None,
        gt=0,
        description="Tokens that it gives to train, estimated as UTF-8 bytes of text / `bytes_per_token`: the "
        "tokenizer comes after this stage. The epochs that come nearest to it are found, and drawn as above",
    )
    weight: float | None = Field(
        default=None,
        gt=0,
        description="Its share of `shard.target_tokens`, relative to the other sources that have a weight",
    )
    bytes_per_token: float | None = Field(
        default=None, gt=0, description="Of this source, instead of `shard.bytes_per_token`"
    )

    @model_validator(mode="after")
    def _has_one_amount(self) -> "SourceShare":
        given = [name for name in ("epochs", "tokens", "weight") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of epochs, tokens and weight, not {' and '.join(given) or 'none'}")
        return self


class KeptShard(Config):
    """One shard of the documents as they arrive, as `datasets.Dataset.shard` (datasets 5.2) cuts them."""

    num_shards: int = Field(ge=1, le=1_000_000, description="Into how many shards the documents are cut")
    index: int = Field(ge=0, description="The shard that is kept, from 0")
    contiguous: bool = Field(
        default=True,
        description="A run of consecutive documents, the first shards one longer where they cannot be equal; false "
        "takes every `num_shards`-th document from the `index`-th on. The defaults are those of `datasets`",
    )

    @model_validator(mode="after")
    def _is_one_of_them(self) -> "KeptShard":
        if self.index >= self.num_shards:
            raise ValueError(f"index is {self.index}, but {self.num_shards} shards are numbered from 0")
        return self


class ShardConfig(Config):
    """How documents are mixed, split, ordered and cut into parts.

    The parts of `{parts: num_shards, validation_fraction: 0, shuffle: false}` are all the shards of
    `datasets.Dataset.shard(num_shards, index)`; `keep_shard` keeps one of them.
    """

    parts: int = Field(
        default=8,
        ge=1,
        le=100_000,
        description="Parts of the train split, equal to within one document, and fewer where there are fewer "
        "documents; validation gets parts no larger than these. A part may be larger than memory",
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
        "order of the input; false keeps the order of arrival within each split, epoch after epoch",
    )
    keep_shard: KeptShard | None = Field(
        default=None, description="Keep one shard of the documents in order of arrival, before all else; null keeps all"
    )
    mixture: dict[str, SourceShare] = Field(
        default={},
        description="How much of each source goes into train, by its name. A source that is not named gives one epoch. "
        "Validation has each of its documents once, whatever the mixture, so that runs of two mixtures compare",
    )
    target_tokens: int | None = Field(
        default=None,
        gt=0,
        description="Tokens that the sources with a `weight` give to train together, estimated as `tokens` are. null "
        "is as much as they can give in these proportions without a repeat",
    )
    bytes_per_token: float = Field(
        default=4.0,
        gt=0,
        description="UTF-8 bytes of text for one token, where a target is in tokens. 4 is the rule of thumb for "
        "English (OpenAI, What are tokens and how to count them?); the stats of a tokenizer stage have a run's own",
    )
    max_epochs: float = Field(
        default=4.0,
        gt=0,
        description="A mixture that asks for more epochs of a source is refused. Up to 4 epochs change the loss little "
        "against as many new tokens (Muennighoff et al. 2023, arXiv 2305.16264, abstract)",
    )
    weight_by_cluster_size: dict[int, float] = Field(
        default={},
        description="Epochs of the documents that dedup kept of near-duplicate clusters of at least that size, as a "
        "multiple of those of their source: {2: 2, 10: 3}. It brings back in part what dedup took, in the manner of "
        "FineWeb2's rehydration (Penedo et al. 2025, arXiv 2506.20920); that took its weights from the quality "
        "of each size. Empty weights all documents alike",
    )

    @field_validator("weight_by_cluster_size")
    @classmethod
    def _has_sizes_and_weights(cls, weights: dict[int, float]) -> dict[int, float]:
        for size, weight in weights.items():
            if size < 2:
                raise ValueError(f"a cluster has 2 documents or more, not {size}")
            if not 0 <= weight <= 100:
                raise ValueError(f"the weight of size {size} is {weight:g}; it must be 0 to 100")
        return weights

    @model_validator(mode="after")
    def _fits_together(self) -> "ShardConfig":
        if self.target_tokens is not None and not any(share.weight for share in self.mixture.values()):
            raise ValueError("target_tokens is shared by weight, but no source in mixture has a weight")
        for source, share in self.mixture.items():
            if share.epochs is not None and share.epochs > self.max_epochs:
                raise ValueError(
                    f"mixture.{source}.epochs is {share.epochs:g}, above max_epochs {self.max_epochs:g}: lower it, or "
                    "raise shard.max_epochs"
                )
        return self
