"""`length`: drops texts that are too short or too long, in characters, bytes, words or lines.

| measured | reasons |
|---|---|
| `num_chars`: Unicode code points | `too_few_chars`, `too_many_chars` |
| `num_bytes`: bytes of UTF-8 | `too_few_bytes`, `too_many_bytes` |
| `num_lines`: as `str.splitlines` cuts them, so that the empty text has none | `too_few_lines`, `too_many_lines` |
| `num_words`: all that the splitter finds, punctuation marks among them | `too_few_words`, `too_many_words` |

Tests run in this order, the minimum of each before its maximum; what has neither is not measured. Both limits are
lengths that stay. There are no defaults: what is short depends on the source. (Gopher's bounds of 50 to 100,000 words
leave marks out: that is the rule `gopher_quality`.)
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from pretrain.filter.rule_config import RuleConfig
from pretrain.filter.splitters import Splitter, require_splitter
from pretrain.filter.textview import TextView
from pretrain.filter.verdict import Check, at_least, at_most

_UNITS = ("chars", "bytes", "lines", "words")


class LengthConfig(RuleConfig):
    """The shortest and longest text that stays; null for no limit. At least one limit is given."""

    rule: Literal["length"] = "length"
    min_chars: int | None = Field(default=None, ge=0, description="Code points")
    max_chars: int | None = Field(default=None, ge=0, description="Code points")
    min_bytes: int | None = Field(default=None, ge=0, description="Bytes of UTF-8")
    max_bytes: int | None = Field(default=None, ge=0, description="Bytes of UTF-8")
    min_lines: int | None = Field(default=None, ge=0, description="Lines, blank ones too")
    max_lines: int | None = Field(default=None, ge=0, description="Lines, blank ones too")
    min_words: int | None = Field(default=None, ge=0, description="Words, marks too")
    max_words: int | None = Field(default=None, ge=0, description="Words, marks too")
    words: Splitter = Field(default="regex", description="How words are found: regex, spacy or whitespace")

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        if not any(self.has_limit(unit) for unit in _UNITS):
            raise ValueError("has no limit, so it drops nothing: give one, such as min_chars")
        for unit in _UNITS:
            least, most = self.limits(unit)
            if least is not None and most is not None and least > most:
                raise ValueError(f"min_{unit} is {least} and max_{unit} is {most}, so nothing would stay")
        return self

    def limits(self, unit: str) -> tuple[int | None, int | None]:
        """The minimum and the maximum in a unit."""
        return getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")

    def has_limit(self, unit: str) -> bool:
        """Whether a text is measured in a unit."""
        return self.limits(unit) != (None, None)

    def make_rule(self, files: Mapping[str, Path]) -> "Length":
        """The rule with these limits."""
        if self.has_limit("words"):
            require_splitter(self.words)
        return Length(self)


class Length:
    """The limits of one config."""

    def __init__(self, config: LengthConfig) -> None:
        self.config = config
        measures: dict[str, Callable[[TextView], int]] = {
            "chars": lambda view: len(view.text),
            "bytes": lambda view: len(view.text.encode()),
            "lines": lambda view: len(view.lines),
            "words": lambda view: len(view.words(config.words)),
        }
        self._measures = [(unit, measures[unit], *config.limits(unit)) for unit in _UNITS if config.has_limit(unit)]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The units that have a limit."""
        return tuple(f"num_{unit}" for unit, *_ in self._measures)

    def checks(self, view: TextView) -> Iterator[Check]:
        """The tests in the order of the table."""
        for unit, measure, least, most in self._measures:
            length = measure(view)
            if least is not None:
                yield at_least(f"num_{unit}", length, f"too_few_{unit}", least)
            if most is not None:
                yield at_most(f"num_{unit}", length, f"too_many_{unit}", most)
