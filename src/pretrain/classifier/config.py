"""Settings of a training."""

from pydantic import Field

from pretrain.config import Config

POSITIVE = "positive"
NEGATIVE = "negative"
LABELS = (POSITIVE, NEGATIVE)


class TrainingConfig(Config):
    """How a classifier is trained and measured.

    The way is that of DCLM (Li et al. 2024, arXiv:2406.11794, section 4.4): text that is worth reading against text
    as it comes, one supervised fastText model, a threshold on its probability. Learning rate, dimension, epochs and
    least count are those of its script (mlfoundations/dclm, baselines/train_fasttext_classifier.py), which are also
    fastText's; that script counts single words by default, this one pairs of words too.
    """

    text_key: str = Field(default="text", min_length=1, description="Field of the records that holds the text")
    held_out_fraction: float = Field(
        default=0.1, gt=0, lt=1, description="Share of the texts that is measured on and not trained on"
    )
    threshold: float = Field(default=0.5, ge=0, le=1, description="Score from which a text counts as positive")
    max_documents: int | None = Field(
        default=None, ge=2, description="Texts of each class, an even sample by hash; null: all. DCLM: 200,000"
    )
    max_chars: int | None = Field(
        default=None, ge=1, description="Characters at the start of a text that count; as in the rule. null: all"
    )
    seed: int = Field(default=0, ge=0, lt=1 << 31, description="Of the weights, the order and the split")
    learning_rate: float = Field(default=0.1, gt=0, description="fastText's lr (DCLM: 0.1)")
    dim: int = Field(default=100, ge=1, description="Length of a word's vector (DCLM: 100)")
    epochs: int = Field(default=5, ge=1, description="Passes over the training texts (DCLM: 5)")
    word_ngrams: int = Field(default=2, ge=1, le=10, description="Longest run of words that is a feature")
    min_count: int = Field(default=1, ge=1, description="Occurrences from which a word is a feature (DCLM: 1)")
    buckets: int = Field(
        default=2_000_000,
        ge=1,
        description="Hash buckets for runs of words (fastText: 2,000,000); the file takes 4 x dim bytes for each",
    )
