r"""`gopher_repetition`: Gopher's removal of texts that repeat themselves, as datatrove decides it.

Tests run in this order and the first that fails gives the reason. A segment or n-gram is repeated when it equals
an earlier one of the same text: first occurrences do not count.

| reason | datatrove's reason | the text goes when |
|---|---|---|
| `empty` | empty | it has no character |
| `paragraph_repetition` | dup_para_frac | more than 0.30 of its paragraphs are repeated |
| `paragraph_char_repetition` | dup_para_char_frac | more than 0.20 of its characters are in those |
| `line_repetition` | dup_line_frac | more than 0.30 of its lines are repeated |
| `line_char_repetition` | dup_line_char_frac | more than 0.20 of its characters are in those |
| `top_2_gram` ... | top_2_gram ... | its most frequent n-gram has over 0.20 of its characters; 0.18 (n = 3), 0.16 (4) |
| `duplicate_5_gram` ... | duplicated_5_n_grams ... | its repeated n-grams have over 0.15 of them; 0.14 (n = 6), |
| | | 0.13 (7), 0.12 (8), 0.11 (9), 0.10 (10) |

The details are datatrove's. Paragraphs are cut at two or more line feeds of the text stripped of outer whitespace,
lines at one or more line feeds of the unstripped text, so that a line feed at the end has an empty line behind it.
Every share of characters is one of all characters, whitespace too. The top n-gram is that which occurs most often,
of several the first, its words joined by spaces; once is enough, so that short texts go as `top_2_gram`. In
duplicate n-grams the words are joined by nothing ("ab c" equals "a bc"), and after a repeated one the search goes
on behind it, so that no word counts twice.

Source: Rae et al. 2021, "Scaling Language Models: Methods, Analysis & Insights from Training Gopher",
arXiv:2112.11446, table A1; decisions and order as datatrove 0.10.1, `gopher_repetition_filter.py`. There a
threshold of 0 switches the tests of paragraphs and lines off; here null does, and 0 is a threshold.
"""

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from pretrain.filter.rule_config import RuleConfig
from pretrain.filter.splitters import Splitter, require_splitter
from pretrain.filter.textview import TextView
from pretrain.filter.verdict import Check, at_least, at_most, evidence_span, ratio

if TYPE_CHECKING:
    from pretrain.filter.words import RepeatedNgram

Ratio = Annotated[float, Field(ge=0, le=1)]
RatioByN = dict[Annotated[int, Field(ge=1, le=100)], Ratio]


class GopherRepetitionConfig(RuleConfig):
    """Thresholds of Gopher's repetition removal; null, or an n left out, switches a test off."""

    rule: Literal["gopher_repetition"] = "gopher_repetition"
    variant: Literal["datatrove"] = Field(
        default="datatrove", description="Whose reading of the paper; Dolma's and DCLM's differ in what they count"
    )
    words: Splitter = Field(default="regex", description="How words are found: regex, spacy or whitespace")
    max_repeated_paragraph_ratio: Ratio | None = Field(
        default=0.3, description="Share of paragraphs that repeat an earlier one (Gopher: 0.30)"
    )
    max_repeated_paragraph_char_ratio: Ratio | None = Field(
        default=0.2, description="Share of characters in those (Gopher: 0.20)"
    )
    max_repeated_line_ratio: Ratio | None = Field(
        default=0.3, description="Share of lines that repeat an earlier one (Gopher: 0.30)"
    )
    max_repeated_line_char_ratio: Ratio | None = Field(
        default=0.2, description="Share of characters in those (Gopher: 0.20)"
    )
    max_top_ngram_char_ratio: RatioByN = Field(
        default={2: 0.20, 3: 0.18, 4: 0.16},
        description="By n: share of characters in the most frequent n-gram (Gopher: {2: 0.20, 3: 0.18, 4: 0.16})",
    )
    max_duplicate_ngram_char_ratio: RatioByN = Field(
        default={5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10},
        description="By n: share of characters in repeated n-grams (Gopher: {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, "
        "9: 0.11, 10: 0.10})",
    )

    def make_rule(self, files: Mapping[str, Path]) -> "GopherRepetition":
        """The rule with these thresholds.

        Raises:
            InputError: the config asks for spaCy, which is not installed.
        """
        require_splitter(self.words)
        return GopherRepetition(self)


class GopherRepetition:
    """Gopher's repetition removal with the thresholds of one config."""

    def __init__(self, config: GopherRepetitionConfig) -> None:
        from pretrain.filter.words import sizes_of

        self.config = config
        self._top = sorted(config.max_top_ngram_char_ratio.items())
        self._duplicate = sorted(config.max_duplicate_ngram_char_ratio.items())
        self._top_sizes = sizes_of([n for n, _ in self._top])
        self._duplicate_sizes = sizes_of([n for n, _ in self._duplicate])

    @property
    def metrics(self) -> tuple[str, ...]:
        """The shares, those of n-grams by the n of the config."""
        return (
            "num_chars",
            "repeated_paragraph_ratio",
            "repeated_paragraph_char_ratio",
            "repeated_line_ratio",
            "repeated_line_char_ratio",
            *(f"top_{n}_gram_char_ratio" for n, _ in self._top),
            *(f"duplicate_{n}_gram_char_ratio" for n, _ in self._duplicate),
        )

    def checks(self, view: TextView) -> Iterator[Check]:
        """The tests in datatrove's order."""
        yield at_least("num_chars", len(view.text), "empty", 1)
        config = self.config
        yield from _check_segments(
            view, "paragraph", config.max_repeated_paragraph_ratio, config.max_repeated_paragraph_char_ratio
        )
        yield from _check_segments(view, "line", config.max_repeated_line_ratio, config.max_repeated_line_char_ratio)
        words = view.words(config.words)
        num_chars = len(view.text)
        yield from _check_ngrams("top", self._top, words.top_ngrams(self._top_sizes), num_chars)
        found = words.duplicate_ngrams(self._duplicate_sizes)
        yield from _check_ngrams("duplicate", self._duplicate, found, num_chars)


def _check_ngrams(
    kind: str, limits: list[tuple[int, float]], found: "list[RepeatedNgram]", num_chars: int
) -> Iterator[Check]:
    for (n, limit), (chars, ngram) in zip(limits, found, strict=True):
        evidence = functools.partial(evidence_span, ngram or "")
        share = ratio(chars, num_chars)
        yield at_most(f"{kind}_{n}_gram_char_ratio", share, f"{kind}_{n}_gram", limit, evidence)


def _check_segments(view: TextView, kind: str, limit: float | None, char_limit: float | None) -> Iterator[Check]:
    from pretrain.filter.characters import character_flags
    from pretrain.filter.lines import repeated_segments

    is_paragraph = kind == "paragraph"
    found = repeated_segments(view.codes, character_flags(), 2 if is_paragraph else 1, is_paragraph, False)
    num_segments, num_repeated, num_chars, *spans = found.tolist()
    yield at_most(
        f"repeated_{kind}_ratio",
        ratio(num_repeated, num_segments),
        f"{kind}_repetition",
        limit,
        lambda: evidence_span(view.text[spans[0] : spans[1]]),
    )
    yield at_most(
        f"repeated_{kind}_char_ratio",
        ratio(num_chars, len(view.text)),
        f"{kind}_char_repetition",
        char_limit,
        lambda: evidence_span(view.text[spans[2] : spans[3]]),
    )
