"""`gopher_quality`: Gopher's document-wise quality heuristics, as datatrove decides them.

Tests run in this order and the first that fails gives the reason. "Words" are all that the splitter finds,
among them punctuation marks; "real words" are those not made wholly of `pretrain.filter.symbols.SYMBOLS`.

| reason | datatrove's reason | the text goes when |
|---|---|---|
| `too_few_words` | gopher_short_doc | it has fewer than 50 real words |
| `too_many_words` | gopher_long_doc | it has more than 100,000 real words |
| `mean_word_too_short` | gopher_below_avg_threshold | real words have fewer than 3 characters on average |
| `mean_word_too_long` | gopher_above_avg_threshold | ... more than 10 characters on average |
| `too_many_hashes` | gopher_too_many_hashes | more than 0.1 "#" a word |
| `too_many_ellipses` | gopher_too_many_ellipsis | more than 0.1 "..." or "…" a word |
| `too_many_bullet_lines` | gopher_too_many_bullets | over 0.9 of the lines start with "•" or "-" |
| `too_many_ellipsis_lines` | gopher_too_many_end_ellipsis | over 0.3 of the lines end with "..." or "…" |
| `too_few_alphabetic_words` | gopher_below_alpha_threshold | under 0.8 of the words have a letter |
| `too_few_stop_words` | gopher_enough_stop_words | it has fewer than 2 distinct stop words |

Lines are those of `str.splitlines`; stop words are compared with their case. A ratio over no words or no
lines is 0, and without real words their mean length is not judged.

Source: Rae et al. 2021, "Scaling Language Models: Methods, Analysis & Insights from Training Gopher",
arXiv:2112.11446, section A.1.1; decisions and order as datatrove 0.10.1, `gopher_quality_filter.py`.
"""

from typing import Literal

from pydantic import Field

from pretrain.config import Config
from pretrain.filter.splitters import Splitter
from pretrain.filter.textview import TextView, Words, has_alphabetic
from pretrain.filter.verdict import Drop, evidence_span

BULLETS = ("•", "-")
ELLIPSES = ("...", "…")
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")


class GopherQualityConfig(Config):
    """Thresholds of Gopher's quality heuristics; null switches a test off."""

    rule: Literal["gopher_quality"] = "gopher_quality"
    splitter: Splitter = Field(default="regex", description="How words are found: regex or whitespace")
    min_words: int | None = Field(default=50, ge=0, description="Real words (Gopher: 50)")
    max_words: int | None = Field(default=100_000, ge=0, description="Real words (Gopher: 100,000)")
    min_mean_word_chars: float | None = Field(
        default=3.0, ge=0, description="Mean characters of a real word (Gopher: 3)"
    )
    max_mean_word_chars: float | None = Field(
        default=10.0, ge=0, description="Mean characters of a real word (Gopher: 10)"
    )
    max_symbol_ratio: float | None = Field(
        default=0.1, ge=0, description="Hash signs a word, and ellipses a word (Gopher: 0.1)"
    )
    max_bullet_line_ratio: float | None = Field(
        default=0.9, ge=0, le=1, description="Share of lines that start with a bullet (Gopher: 0.9)"
    )
    max_ellipsis_line_ratio: float | None = Field(
        default=0.3, ge=0, le=1, description="Share of lines that end with an ellipsis (Gopher: 0.3)"
    )
    min_alphabetic_word_ratio: float | None = Field(
        default=0.8, ge=0, le=1, description="Share of words with an alphabetic character (Gopher: 0.8)"
    )
    min_stop_words: int | None = Field(default=2, ge=0, description="Distinct stop words (Gopher: 2)")
    stop_words: tuple[str, ...] = Field(default=STOP_WORDS, description="Case counts (Gopher's eight)")

    def make_rule(self) -> "GopherQuality":
        """The rule with these thresholds."""
        return GopherQuality(self)


class GopherQuality:
    """Gopher's quality heuristics with the thresholds of one config."""

    def __init__(self, config: GopherQualityConfig) -> None:
        self.config = config
        self._stop_words = frozenset(config.stop_words)

    def __call__(self, view: TextView) -> Drop | None:
        """Why the text of `view` goes, or None."""
        return self.judge(view, view.words(self.config.splitter))

    def judge(self, view: TextView, words: Words) -> Drop | None:
        """The verdict on a text, given its words (so that another splitter can be tried)."""
        return (
            self._judge_length(words)
            or self._judge_mean_length(words)
            or self._judge_symbols(view.text, words)
            or self._judge_lines(view.lines)
            or self._judge_alphabetic(words)
            or self._judge_stop_words(words)
        )

    def _judge_length(self, words: Words) -> Drop | None:
        low, high = self.config.min_words, self.config.max_words
        num_words = words.num_real_words
        if low is not None and num_words < low:
            return Drop("too_few_words", num_words, low)
        if high is not None and num_words > high:
            return Drop("too_many_words", num_words, high)
        return None

    def _judge_mean_length(self, words: Words) -> Drop | None:
        low, high = self.config.min_mean_word_chars, self.config.max_mean_word_chars
        if words.num_real_words == 0:
            return None
        mean = words.num_real_word_chars / words.num_real_words
        if low is not None and mean < low:
            return Drop("mean_word_too_short", mean, low)
        if high is not None and mean > high:
            return Drop("mean_word_too_long", mean, high, evidence_span(max(words.counts, key=len)))
        return None

    def _judge_symbols(self, text: str, words: Words) -> Drop | None:
        limit = self.config.max_symbol_ratio
        if limit is None:
            return None
        ratio = _ratio(text.count("#"), len(words.tokens))
        if ratio > limit:
            return Drop("too_many_hashes", ratio, limit)
        ratio = _ratio(sum(map(text.count, ELLIPSES)), len(words.tokens))
        if ratio > limit:
            return Drop("too_many_ellipses", ratio, limit)
        return None

    def _judge_lines(self, lines: list[str]) -> Drop | None:
        limit = self.config.max_bullet_line_ratio
        found = [line for line in lines if line.lstrip().startswith(BULLETS)]
        ratio = _ratio(len(found), len(lines))
        if limit is not None and ratio > limit:
            return Drop("too_many_bullet_lines", ratio, limit, evidence_span(found[0]))
        limit = self.config.max_ellipsis_line_ratio
        found = [line for line in lines if line.rstrip().endswith(ELLIPSES)]
        ratio = _ratio(len(found), len(lines))
        if limit is not None and ratio > limit:
            return Drop("too_many_ellipsis_lines", ratio, limit, evidence_span(found[0]))
        return None

    def _judge_alphabetic(self, words: Words) -> Drop | None:
        limit = self.config.min_alphabetic_word_ratio
        ratio = _ratio(words.num_alphabetic_words, len(words.tokens))
        if limit is None or ratio >= limit:
            return None
        others = [(count, word) for word, count in words.counts.items() if not has_alphabetic(word)]
        evidence = evidence_span(max(others)[1]) if others else None
        return Drop("too_few_alphabetic_words", ratio, limit, evidence)

    def _judge_stop_words(self, words: Words) -> Drop | None:
        limit = self.config.min_stop_words
        found = self._stop_words & words.counts.keys()
        if limit is None or len(found) >= limit:
            return None
        return Drop("too_few_stop_words", len(found), limit, evidence_span(" ".join(sorted(found))) or None)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
