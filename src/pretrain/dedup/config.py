"""What the `dedup` stage reads of the recipe."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pretrain.config import Config

VERSION: int = 2

Normalization = Literal["none", "whitespace", "casefold_punctuation_digits"]


class ExactConfig(Config):
    """Exact duplicates of whole documents, by a 128-bit hash of the normalised text.

    normalize: what is made equal before hashing, see `pretrain.dedup.normalization`. Default `none`: the
        rule of the DeepLearning.AI x Upstage course `Pretraining LLMs`, whose set of seen texts compares
        strings.
    """

    normalize: Normalization = "none"


class MinHashConfig(Config):
    """Near-duplicates: MinHash-LSH over word n-grams finds candidates, exact Jaccard similarity decides.

    Two documents with Jaccard similarity s become candidates with probability 1 - (1 - s^rows)^bands:
    0.56 at 0.7, 0.92 at 0.8 and 0.9996 at 0.9 with the defaults.

    ngram: words in an n-gram, at least 1. Default 5: FineWeb (Penedo et al. 2024).
    bands: LSH bands, 1 to 100. Default 14: FineWeb.
    rows: MinHash values in a band, 1 to 64. Default 8: FineWeb.
    threshold: smallest Jaccard similarity of two n-gram sets that makes a duplicate, over 0 to 1. Default
        0.7: near (1/bands)^(1/rows) = 0.72, about where the curve above is steepest.
    seed: of the hash family. Default 1: datatrove's MinhashConfig.
    max_chars: characters of a text that the signature sees. Default 500,000: marin, where the signatures of
        mega-documents saturate. Verification always reads whole texts.
    max_bucket_leaders: in one bucket (documents equal in one band) a document is compared with at most this
        many others, the first in keeper order. It bounds the comparisons of a template that fills a bucket
        with m documents to m times this number. Our choice; no bucket of up to 65 documents is affected.
    max_cluster_fraction: largest share of the documents of one source that may be near-duplicates of one
        keeper, over 0 to 1; beyond it the stage fails instead of emptying the source (a template shared by
        unlike documents once took 859,090 of 859,092 documents out of a corpus, marin#6854). 1 never fails.
        Default 0.5: our choice.
    min_cluster_documents: where fewer near-duplicates of one keeper are removed from a source, that check
        never fails, so that a small corpus of copies passes. Default 1000: our choice.
    """

    ngram: int = Field(default=5, ge=1, le=100)
    bands: int = Field(default=14, ge=1, le=100)
    rows: int = Field(default=8, ge=1, le=64)
    threshold: float = Field(default=0.7, gt=0.0, le=1.0)
    seed: int = Field(default=1, ge=0, lt=1 << 64)
    max_chars: int = Field(default=500_000, ge=1)
    max_bucket_leaders: int = Field(default=64, ge=1)
    max_cluster_fraction: float = Field(default=0.5, gt=0.0, le=1.0)
    min_cluster_documents: int = Field(default=1000, ge=1)


class KeepConfig(Config):
    """Which document of several duplicates stays: a total order, the first in it is kept.

    prefer_sources: names of sources, most wanted first; sources that are not named come after them, all
    alike.
    order: among equally wanted sources, `longest` (most bytes of UTF-8 text, then lowest id) or `first`
    (order of
        arrival: number of the part, then row). The course keeps the `first` occurrence.
    """

    prefer_sources: tuple[str, ...] = ()
    order: Literal["longest", "first"] = "longest"

    @model_validator(mode="after")
    def _refuse_repeated_sources(self) -> Self:
        if len(set(self.prefer_sources)) != len(self.prefer_sources):
            raise ValueError(f"prefer_sources names a source twice: {list(self.prefer_sources)}")
        return self


class DedupConfig(Config):
    """The `dedup` stage. A step that is null is switched off; at least one step is on."""

    exact: ExactConfig | None = ExactConfig()
    minhash: MinHashConfig | None = MinHashConfig()
    keep: KeepConfig = KeepConfig()

    @model_validator(mode="after")
    def _require_a_step(self) -> Self:
        if self.exact is None and self.minhash is None:
            raise ValueError("both steps are null: switch `exact` or `minhash` on, or leave `dedup` out")
        return self
