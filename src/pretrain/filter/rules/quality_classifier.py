"""`quality_classifier`: drops texts by the score that a fastText classifier gives them.

| `keep` | reason | the text goes when its score is |
|---|---|---|
| `above` (default) | `quality_score_too_low` | below `threshold` |
| `below` | `quality_score_too_high` | above `threshold` |

The score is the probability of `label`. The model reads the text on one line, line feeds as spaces, as fastText
needs it and as `pretrain train-classifier` trains it. There is no default for the threshold: it belongs to a model.
That command reports what each one keeps; Li et al. 2024 (DCLM), arXiv:2406.11794, section 4.4, keep the best tenth of
the documents, and `record_metrics` shows where that tenth begins.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from pretrain.errors import InputError
from pretrain.external import ExternalInput, Surroundings
from pretrain.fasttext_model import FastTextModel, as_line, load_model
from pretrain.filter.rule_config import RuleConfig
from pretrain.filter.textview import TextView
from pretrain.filter.verdict import Check, at_least, at_most
from pretrain.model_location import MODEL_FILE_NAME, ModelAtPath, ModelAtUrl, model_file

_KEY = "the model of the filter rule quality_classifier"


class QualityClassifierConfig(RuleConfig):
    """Which model, which of its labels, and which scores stay."""

    rule: Literal["quality_classifier"] = "quality_classifier"
    model: ModelAtPath | ModelAtUrl = Field(description="{path: model.bin}, or {url: ..., sha256: ...}")
    label: str = Field(
        default="positive", min_length=1, description="Without __label__; train-classifier: positive. DCLM's: hq"
    )
    threshold: float = Field(ge=0, le=1, description="Score of the label, from 0 to 1; one equal to it stays")
    keep: Literal["above", "below"] = Field(default="above", description="Which side of the threshold stays")
    max_chars: int | None = Field(
        default=None, ge=1, description="Characters at the start that the model reads; null: all, as DCLM"
    )

    def external(self, name: str, around: Surroundings) -> ExternalInput | None:
        """The model's file."""
        return ExternalInput(name, (model_file(self.model, around),))

    def make_rule(self, files: Mapping[str, Path]) -> "QualityClassifier":
        """The rule with this model, loaded once a process."""
        return QualityClassifier(self, load_model(files[MODEL_FILE_NAME], _KEY))


class QualityClassifier:
    """One test on the score of a model.

    Raises:
        InputError: the model does not know the label.
    """

    metrics = ("quality_score",)

    def __init__(self, config: QualityClassifierConfig, model: FastTextModel) -> None:
        if config.label not in model.labels:
            raise InputError(
                f"label {config.label!r} is none of the {len(model.labels)} labels of {_KEY}: "
                f"{', '.join(sorted(model.labels)[:20])}; correct label"
            )
        self.config = config
        self._model = model

    def checks(self, view: TextView) -> Iterator[Check]:
        """The test."""
        config = self.config
        score = self._model.score_of(config.label, as_line(view.text, config.max_chars, "space"))
        if config.keep == "above":
            yield at_least("quality_score", score, "quality_score_too_low", config.threshold)
        else:
            yield at_most("quality_score", score, "quality_score_too_high", config.threshold)
