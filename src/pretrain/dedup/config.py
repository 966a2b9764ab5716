"""What the `dedup` stage reads of the recipe."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from pretrain.config import Config

VERSION: int = 3

Normalization = Literal["none", "whitespace", "casefold_punctuation_digits"]

# It says how the work is cut, and how it is cut bears on no document.
_BEARS_ON_NO_RESULT = ("memory_limit_bytes",)


class ExactConfig(Config):
    """Exact duplicates of whole documents, by a 128-bit hash of the normalised text.

    normalize: what is made equal before hashing, see `pretrain.dedup.normalization`. Default `none`: the
        rule of the DeepLearning.AI x Upstage course `Pretraining LLMs`, whose set of seen texts compares
        strings.
    """

    normalize: Normalization = "none"


class SegmentsConfig(Config):
    """Paragraphs or lines that repeat across documents (boilerplate of a site): cut out of the texts.

    The first document in keeper order keeps its copy, so that nothing is lost from the corpus. A document
    counts once however often it repeats a segment, and exact duplicates count as the one that stays.

    unit: `paragraph` (between blank lines) or `line`.
    min_chars: characters of the normalised segment, at least 1; shorter ones are never cut. Default 40: our
        choice, above most headings.
    max_documents: a segment that more documents than this have is cut, at least 1. Default 10: our choice.
    normalize: what is made equal before segments are compared.
    """

    unit: Literal["paragraph", "line"] = "paragraph"
    min_chars: int = Field(default=40, ge=1)
    max_documents: int = Field(default=10, ge=1)
    normalize: Normalization = "whitespace"


class MinHashConfig(Config):
    """Near-duplicates: MinHash-LSH over n-grams finds candidates, verification decides.

    Two documents with Jaccard similarity s become candidates with probability 1 - (1 - s^rows)^bands:
    0.56 at 0.7, 0.92 at 0.8 and 0.9996 at 0.9 with the defaults.

    unit: an n-gram is made of `word`s or of `character`s (lower-cased, a run of whitespace as one space),
        the latter for languages that put no spaces between words.
    ngram: units in an n-gram, at least 1. Default 5: FineWeb (Penedo et al. 2024). A document of fewer units
        is compared exactly, unit for unit.
    bands: LSH bands, 1 to 100. Default 14: FineWeb.
    rows: MinHash values in a band, 1 to 64. Default 8: FineWeb.
    signature: the hash family. `multiply_shift` is ours (see `pretrain.dedup.kernels`); `datatrove` gives the
        values of datatrove 0.10.1 bit by bit, at the speed of its spaCy word splitter, and needs the extra
        `pretrain[spacy]`.
    verify: what decides about a candidate pair: `jaccard` of the two whole texts' n-gram sets, or `signature`,
        the share of equal MinHash values, which reads no text a second time but has a standard error of up to
        0.05 with 112 values.
    threshold: smallest similarity that makes a duplicate, over 0 to 1. Default 0.7: near
        (1/bands)^(1/rows) = 0.72, about where the curve above is steepest.
    seed: of the hash family. Default 1: datatrove's MinhashConfig.
    max_chars: characters of a text that the signature sees. Default 500,000: marin, where the signatures of
        mega-documents saturate. Verification by `jaccard` always reads whole texts.
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

    unit: Literal["word", "character"] = "word"
    ngram: int = Field(default=5, ge=1, le=100)
    bands: int = Field(default=14, ge=1, le=100)
    rows: int = Field(default=8, ge=1, le=64)
    signature: Literal["multiply_shift", "datatrove"] = "multiply_shift"
    verify: Literal["jaccard", "signature"] = "jaccard"
    threshold: float = Field(default=0.7, gt=0.0, le=1.0)
    seed: int = Field(default=1, ge=0, lt=1 << 64)
    max_chars: int = Field(default=500_000, ge=1)
    max_bucket_leaders: int = Field(default=64, ge=1)
    max_cluster_fraction: float = Field(default=0.5, gt=0.0, le=1.0)
    min_cluster_documents: int = Field(default=1000, ge=1)

    @model_validator(mode="after")
    def _fit_datatrove(self) -> Self:
        if self.signature == "datatrove" and self.unit != "word":
            raise ValueError("signature `datatrove` is made of words: set `unit: word`")
        if self.signature == "datatrove" and self.seed >= 1 << 32:
            raise ValueError(f"signature `datatrove` takes a seed below 2^32 (numpy's RandomState), not {self.seed}")
        return self

    def signature_identity(self) -> dict[str, Any]:
        """The values that two signatures have to share to be compared."""
        names = ("unit", "ngram", "bands", "rows", "signature", "verify", "seed", "max_chars")
        return {name: getattr(self, name) for name in names}


class SubstringsConfig(Config):
    """Spans of text that documents share wherever they stand in them (quotations, licences, templates): cut out.

    Every byte goes that lies in a span of at least `min_bytes` which a document before it in keeper order has
    as well, byte for byte. The first document keeps its copy. Repeats within one document stay. (Lee et al.
    2022, `Deduplicating Training Data Makes Language Models Better`, section 4.1, EXACTSUBSTR, drops a span
    wherever it occurs but once; theirs is a suffix array, ours are hashes of windows, see
    `pretrain.dedup.substrings`.)

    min_bytes: of UTF-8 text, at least 16. Default 200: about the 50 BPE tokens of Lee et al., at 4 bytes each.
    """

    min_bytes: int = Field(default=200, ge=16, le=1 << 20)

    @property
    def anchor_bytes(self) -> int:
        """Length of the pieces whose least hash anchors a window. Bears on the cost alone."""
        return self.min_bytes // 2


class KeepConfig(Config):
    """Which documents of several duplicates stay.

    The order of keepers is total: sources, then quality, then `order`, then lowest id.

    prefer_sources: names of sources, most wanted first, at most 65,535; sources that are not named come after
        them, all alike.
    quality_key: key of a number in `metadata`, higher is better (compared as 32-bit floats); documents
        without it come last. null: no score is looked at.
    order: among equally wanted documents, `longest` (most bytes of UTF-8 text), `first` (order of arrival:
        number of the part, then row; the course keeps the first occurrence) or `lowest_id`.
    copies: `first`: the first of several duplicates stays and the others go. `all_but`: only documents of
        `removable_sources` go, those of other sources stay whatever they repeat, and come first in the order.
        `none`: every document that has a duplicate goes.
    removable_sources: with `all_but`, the sources that may lose documents.
    """

    prefer_sources: tuple[str, ...] = Field(default=(), max_length=65_535)
    quality_key: str | None = None
    order: Literal["longest", "first", "lowest_id"] = "longest"
    copies: Literal["first", "all_but", "none"] = "first"
    removable_sources: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _refuse_repeated_sources(self) -> Self:
        if len(set(self.prefer_sources)) != len(self.prefer_sources):
            raise ValueError(f"prefer_sources names a source twice: {list(self.prefer_sources)}")
        return self

    @model_validator(mode="after")
    def _name_removable_sources(self) -> Self:
        if (self.copies == "all_but") != bool(self.removable_sources):
            raise ValueError(
                f"removable_sources is {list(self.removable_sources)} with copies {self.copies!r}: `all_but` needs "
                "the sources that may lose documents, and the others take none"
            )
        return self


class DedupConfig(Config):
    """The `dedup` stage: its steps in the order of their names here. A step that is null is switched off.

    exact: whole documents.
    segments: repeated paragraphs or lines, cut out of the texts that are left.
    minhash: near-duplicates among the texts as they are then.
    substrings: spans that the documents which are left share, cut out of their texts.
    keep: which documents stay.
    against: finished dedup artifacts (`dedup/<fingerprint>`) whose documents come before all of this run's:
        they are neither read again for signatures nor written, and nothing of them goes.
    memory_limit_bytes: resident memory of one worker process, of which 384 MiB are taken for Python and its
        libraries; at least 512 MiB. A single document needs about 10 times its own size beside it. Bears on no
        result, so it is no part of the fingerprint. Default 2 GiB.
    """

    exact: ExactConfig | None = ExactConfig()
    segments: SegmentsConfig | None = None
    minhash: MinHashConfig | None = MinHashConfig()
    substrings: SubstringsConfig | None = None
    keep: KeepConfig = KeepConfig()
    against: tuple[str, ...] = ()
    memory_limit_bytes: int = Field(default=2 << 30, ge=512 << 20)

    def identity(self) -> dict[str, Any]:
        """The part of this config that bears on the result."""
        return {name: value for name, value in super().identity().items() if name not in _BEARS_ON_NO_RESULT}

    @model_validator(mode="after")
    def _require_a_step(self) -> Self:
        if (self.exact, self.segments, self.minhash, self.substrings) == (None,) * 4:
            raise ValueError(
                "all steps are null: switch `exact`, `segments`, `minhash` or `substrings` on, or leave `dedup` out"
            )
        return self

    @model_validator(mode="after")
    def _refuse_none_against(self) -> Self:
        if self.against and self.keep.copies == "none":
            raise ValueError(
                "keep.copies `none` with `against`: an old document that a new one repeats would have to go, and "
                "finished artifacts are never edited; use `first`, or run all documents together"
            )
        return self

    @model_validator(mode="after")
    def _refuse_segments_against(self) -> Self:
        for name in ("segments", "substrings"):
            if self.against and getattr(self, name) is not None:
                raise ValueError(
                    f"`{name}` with `against`: new documents would change what repeats in the old ones, and finished "
                    f"artifacts are never edited; switch `{name}` off or run all documents together"
                )
        return self
