"""`course`: the paragraph-length and paragraph-repetition rules of the course "Pretraining LLMs".

| test | drops a text when | reason |
|---|---|---|
| paragraph length | it has fewer than 3 lines | `too_few_lines` |
| | its third longest line has fewer than 3 characters | `paragraph_too_short` |
| paragraph repetition | more than 0.3 of its paragraphs repeat an earlier one | `paragraph_repetition` |
| | more than 0.2 of its characters are in such paragraphs | `paragraph_char_repetition` |

Lines are cut at line feeds alone and blank lines count; lengths are in characters. Paragraphs are cut at two
or more line feeds of the text stripped of outer whitespace, but the characters are those of the unstripped
text. The empty text is one line of length 0, so it goes as `too_few_lines`; with the length test off it
repeats nothing and stays.

Source: DeepLearning.AI and Upstage, "Pretraining LLMs", lesson 2, `paragraph_length_filter` and
`paragraph_repetition_filter`; the latter is the paragraph part of Gopher's repetition removal
(Rae et al. 2021, arXiv:2112.11446, table A1).
"""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pretrain.filter.rule_config import RuleConfig
from pretrain.filter.textview import TextView
from pretrain.filter.verdict import Check, at_least, at_most, evidence_span

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_PARAGRAPH_BREAK = re.compile(r"\n{2,}")


class CourseConfig(RuleConfig):
    """Thresholds of the course's two rules."""

    rule: Literal["course"] = "course"
    min_long_lines: int = Field(
        default=3, ge=0, description="Lines that must have min_line_chars characters; 0: no test (course: 3)"
    )
    min_line_chars: int = Field(default=3, ge=0, description="Characters that such a line has (course: 3)")
    max_repeated_paragraph_ratio: float | None = Field(
        default=0.3, ge=0, le=1, description="Share of paragraphs that repeat; null: no test (course: 0.3)"
    )
    max_repeated_char_ratio: float | None = Field(
        default=0.2, ge=0, le=1, description="Share of characters in those; null: no test (course: 0.2)"
    )

    def make_rule(self, files: Mapping[str, Path]) -> "Course":
        """The rule with these thresholds."""
        return Course(self)


class Course:
    """The course's two rules, paragraph length first."""

    metrics = ("num_lines", "long_line_chars", "repeated_paragraph_ratio", "repeated_char_ratio")

    def __init__(self, config: CourseConfig) -> None:
        self.config = config

    def checks(self, view: TextView) -> Iterator[Check]:
        """The tests in the course's order."""
        lines = view.text.split("\n")
        if self.config.min_long_lines > 0:
            yield from self._check_length(lines)
        yield from self._check_repetition(view.text, lines)

    def keeps(self, texts: "pa.LargeStringArray") -> "NDArray[np.bool_]":
        """For each text, whether it stays, but for a few that are not decided at once."""
        from pretrain.filter.characters import character_flags
        from pretrain.filter.columns import utf8_of
        from pretrain.filter.course_kernel import keeps

        config = self.config
        ratios = (config.max_repeated_paragraph_ratio, config.max_repeated_char_ratio)
        limits = [math.inf if ratio is None else ratio for ratio in ratios]
        return keeps(*utf8_of(texts), character_flags(), config.min_long_lines, config.min_line_chars, *limits)

    def _check_length(self, lines: list[str]) -> Iterator[Check]:
        config = self.config
        lengths = sorted(map(len, lines))
        yield at_least("num_lines", len(lengths), "too_few_lines", config.min_long_lines)
        if len(lengths) >= config.min_long_lines:
            length = lengths[-config.min_long_lines]
            yield at_least("long_line_chars", length, "paragraph_too_short", config.min_line_chars)

    def _check_repetition(self, text: str, lines: list[str]) -> Iterator[Check]:
        limits = self.config
        num_paragraphs, repeats = 1, []
        if _may_repeat(text, lines):
            paragraphs = _PARAGRAPH_BREAK.split(text.strip())
            num_paragraphs, repeats = len(paragraphs), repeated(paragraphs)
        yield at_most(
            "repeated_paragraph_ratio",
            len(repeats) / num_paragraphs,
            "paragraph_repetition",
            limits.max_repeated_paragraph_ratio,
            lambda: evidence_span(repeats[0]),
        )
        yield at_most(
            "repeated_char_ratio",
            sum(map(len, repeats)) / len(text) if text else 0.0,
            "paragraph_char_repetition",
            limits.max_repeated_char_ratio,
            lambda: evidence_span(max(repeats, key=len)),
        )


def _may_repeat(text: str, lines: list[str]) -> bool:
    """Whether two lines are equal, as two in equal paragraphs are: a first look, four times as fast as the cutting."""
    stripped = text.strip()
    if len(stripped) < len(text):
        lines = stripped.split("\n")
    full = [line for line in lines if line]
    return len(set(full)) < len(full)


def repeated(paragraphs: list[str]) -> list[str]:
    """Every second and later occurrence, in order."""
    seen: set[str] = set()
    repeats = []
    for paragraph in paragraphs:
        if paragraph in seen:
            repeats.append(paragraph)
        else:
            seen.add(paragraph)
    return repeats
