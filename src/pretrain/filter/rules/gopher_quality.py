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

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pretrain.filter.rule_config import RuleConfig
from pretrain.filter.splitters import Splitter, require_splitter
from pretrain.filter.textview import TextView, has_alphabetic
from pretrain.filter.verdict import Check, at_least, at_most, evidence_span, ratio

if TYPE_CHECKING:
    from pretrain.filter.words import Words

ELLIPSES = ("...", "…")
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")


class GopherQualityConfig(RuleConfig):
    """Thresholds of Gopher's quality heuristics; null switches a test off."""

    rule: Literal["gopher_quality"] = "gopher_quality"
    words: Splitter = Field(default="regex", description="How words are found: regex, spacy or whitespace")
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

    def make_rule(self, files: Mapping[str, Path]) -> "GopherQuality":
        """The rule with these thresholds.

        Raises:
            InputError: the config asks for spaCy, which is not installed.
        """
        require_splitter(self.words)
        return GopherQuality(self)


class GopherQuality:
    """Gopher's quality heuristics with the thresholds of one config."""

    metrics = (
        "num_words",
        "mean_word_chars",
        "hash_ratio",
        "ellipsis_ratio",
        "bullet_line_ratio",
        "ellipsis_line_ratio",
        "alphabetic_word_ratio",
        "num_stop_words",
    )

    def __init__(self, config: GopherQualityConfig) -> None:
        from pretrain.filter.words import hashes_of

        self.config = config
        self._stop_words = sorted(set(config.stop_words))
        self._stop_word_hashes = hashes_of(self._stop_words)

    def checks(self, view: TextView) -> Iterator[Check]:
        """The tests in datatrove's order."""
        words = view.words(self.config.words)
        yield from self._check_length(words)
        yield from self._check_symbols(view.text, words)
        yield from self._check_lines(view)
        yield from self._check_vocabulary(words)

    def _check_length(self, words: "Words") -> Iterator[Check]:
        config, num_words = self.config, words.num_real_words
        yield at_least("num_words", num_words, "too_few_words", config.min_words)
        yield at_most("num_words", num_words, "too_many_words", config.max_words)
        if num_words == 0:
            return
        mean = words.num_real_word_chars / num_words
        yield at_least("mean_word_chars", mean, "mean_word_too_short", config.min_mean_word_chars)
        yield at_most(
            "mean_word_chars",
            mean,
            "mean_word_too_long",
            config.max_mean_word_chars,
            lambda: evidence_span(max(words.counts, key=len)),
        )

    def _check_symbols(self, text: str, words: "Words") -> Iterator[Check]:
        limit, num_words = self.config.max_symbol_ratio, len(words)
        yield at_most("hash_ratio", ratio(text.count("#"), num_words), "too_many_hashes", limit)
        num_ellipses = sum(map(text.count, ELLIPSES))
        yield at_most("ellipsis_ratio", ratio(num_ellipses, num_words), "too_many_ellipses", limit)

    def _check_lines(self, view: TextView) -> Iterator[Check]:
        from pretrain.filter.characters import character_flags
        from pretrain.filter.lines import bullets_and_ellipses

        config, text = self.config, view.text
        num_lines, num_bullets, num_ellipses, *spans = bullets_and_ellipses(view.codes, character_flags()).tolist()
        yield at_most(
            "bullet_line_ratio",
            ratio(num_bullets, num_lines),
            "too_many_bullet_lines",
            config.max_bullet_line_ratio,
            lambda: evidence_span(text[spans[0] : spans[1]]),
        )
        yield at_most(
            "ellipsis_line_ratio",
            ratio(num_ellipses, num_lines),
            "too_many_ellipsis_lines",
            config.max_ellipsis_line_ratio,
            lambda: evidence_span(text[spans[2] : spans[3]]),
        )

    def _check_vocabulary(self, words: "Words") -> Iterator[Check]:
        yield at_least(
            "alphabetic_word_ratio",
            ratio(words.num_alphabetic_words, len(words)),
            "too_few_alphabetic_words",
            self.config.min_alphabetic_word_ratio,
            lambda: _most_frequent(words),
        )
        is_there = words.with_hashes(self._stop_word_hashes)
        found = [word for word, is_found in zip(self._stop_words, is_there, strict=True) if is_found]
        yield at_least(
            "num_stop_words",
            len(found),
            "too_few_stop_words",
            self.config.min_stop_words,
            lambda: evidence_span(" ".join(found)) or None,
        )


def _most_frequent(words: "Words") -> str | None:
    """The word without a letter that occurs most often."""
    others = [(count, word) for word, count in words.counts.items() if not has_alphabetic(word)]
    return evidence_span(max(others)[1]) if others else None
