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

import re
from typing import Literal

from pydantic import Field

from pretrain.config import Config
from pretrain.filter.textview import TextView
from pretrain.filter.verdict import Drop, evidence_span

_PARAGRAPH_BREAK = re.compile(r"\n{2,}")


class CourseConfig(Config):
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

    def make_rule(self) -> "Course":
        """The rule with these thresholds."""
        return Course(self)


class Course:
    """The course's two rules, paragraph length first."""

    def __init__(self, config: CourseConfig) -> None:
        self.config = config

    def __call__(self, view: TextView) -> Drop | None:
        """Why the text of `view` goes, or None."""
        return self._judge_length(view.text) or self._judge_repetition(view.text)

    def _judge_length(self, text: str) -> Drop | None:
        config = self.config
        if config.min_long_lines == 0:
            return None
        lengths = sorted(map(len, text.split("\n")))
        if len(lengths) < config.min_long_lines:
            return Drop("too_few_lines", len(lengths), config.min_long_lines)
        length = lengths[-config.min_long_lines]
        if length < config.min_line_chars:
            return Drop("paragraph_too_short", length, config.min_line_chars)
        return None

    def _judge_repetition(self, text: str) -> Drop | None:
        paragraphs = _PARAGRAPH_BREAK.split(text.strip())
        if len(set(paragraphs)) == len(paragraphs):
            return None
        repeats = repeated(paragraphs)
        limits = self.config
        ratio = len(repeats) / len(paragraphs)
        if limits.max_repeated_paragraph_ratio is not None and ratio > limits.max_repeated_paragraph_ratio:
            evidence = evidence_span(repeats[0])
            return Drop("paragraph_repetition", ratio, limits.max_repeated_paragraph_ratio, evidence)
        ratio = sum(map(len, repeats)) / len(text)
        if limits.max_repeated_char_ratio is not None and ratio > limits.max_repeated_char_ratio:
            evidence = evidence_span(max(repeats, key=len))
            return Drop("paragraph_char_repetition", ratio, limits.max_repeated_char_ratio, evidence)
        return None


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
