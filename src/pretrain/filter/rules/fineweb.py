r"""`fineweb`: FineWeb's custom filters, which drop lists, menus and texts whose lines repeat.

Tests run in this order and the first that fails gives the reason. Lines are cut at line feeds alone, and those of
nothing but whitespace are left out.

| reason | datatrove's reason | the text goes when |
|---|---|---|
| `empty` | empty | it has no line |
| `too_few_ended_lines` | line_punct_ratio | under 0.12 of its lines end with terminal punctuation |
| `too_many_short_lines` | short_line_ratio | over 0.67 of its lines have 30 characters or less |
| `line_char_repetition` | char_dup_ratio | lines that repeat an earlier one have over 0.01 of its characters |
| `too_many_newlines` | list_ratio | it has over 0.3 line feeds a word |

Terminal punctuation are the 159 characters of `pretrain.filter.symbols.TERMINAL_PUNCTUATION`; quotes, colons and
"…" are not among them. Line feeds count for no character of the text, but those in blank lines count as line feeds.

Source: Penedo et al. 2024, "The FineWeb Datasets", arXiv:2406.17557, section 3.6; decisions, order and thresholds
as datatrove 0.10.1, `fineweb_quality_filter.py` (the paper has 0.1 for repeated characters; FineWeb-2 takes 0.1 and
no test of short lines).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pretrain.filter.rule_config import RuleConfig
from pretrain.filter.splitters import Splitter, require_splitter
from pretrain.filter.textview import TextView
from pretrain.filter.verdict import Check, at_least, at_most, evidence_span, ratio

Ratio = Annotated[float, Field(ge=0, le=1)]


class FinewebConfig(RuleConfig):
    """Thresholds of FineWeb's filters; null switches a test off."""

    rule: Literal["fineweb"] = "fineweb"
    words: Splitter = Field(default="regex", description="How words are found: regex, spacy or whitespace")
    min_ended_line_ratio: Ratio | None = Field(
        default=0.12, description="Share of lines that end with terminal punctuation (FineWeb: 0.12)"
    )
    accept_no_ended_line: bool = Field(
        default=False, description="Keep a text without any such line (FineWeb: false; scripts without full stops)"
    )
    stop_chars: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="Characters that end a line, as one text; null: terminal punctuation of all scripts"
    )
    max_short_line_ratio: Ratio | None = Field(default=0.67, description="Share of short lines (FineWeb: 0.67)")
    short_line_chars: int = Field(
        default=30, ge=0, description="Characters that a short line has at most (FineWeb: 30)"
    )
    max_repeated_line_char_ratio: Ratio | None = Field(
        default=0.01, description="Share of characters in lines that repeat an earlier one (FineWeb: 0.01)"
    )
    max_newline_ratio: float | None = Field(default=0.3, ge=0, description="Line feeds a word (FineWeb: 0.3)")

    def make_rule(self, files: Mapping[str, Path]) -> "Fineweb":
        """The rule with these thresholds.

        Raises:
            InputError: the config asks for spaCy, which is not installed.
        """
        require_splitter(self.words)
        return Fineweb(self)


class Fineweb:
    """FineWeb's filters with the thresholds of one config."""

    metrics = ("num_lines", "ended_line_ratio", "short_line_ratio", "repeated_line_char_ratio", "newline_ratio")

    def __init__(self, config: FinewebConfig) -> None:
        from pretrain.filter.characters import code_array

        self.config = config
        self._stop_codes = code_array(config.stop_chars or "")

    def checks(self, view: TextView) -> Iterator[Check]:
        """The tests in datatrove's order."""
        from pretrain.filter.characters import character_flags
        from pretrain.filter.lines import line_ends

        config = self.config
        found = line_ends(view.codes, character_flags(), config.short_line_chars, self._stop_codes)
        num_lines, num_ended, num_short, num_newlines = found.tolist()
        yield at_least("num_lines", num_lines, "empty", 1)
        limit = None if config.accept_no_ended_line and num_ended == 0 else config.min_ended_line_ratio
        yield at_least("ended_line_ratio", ratio(num_ended, num_lines), "too_few_ended_lines", limit)
        limit = config.max_short_line_ratio
        yield at_most("short_line_ratio", ratio(num_short, num_lines), "too_many_short_lines", limit)
        yield self._check_repetition(view, len(view.text) - num_newlines)
        num_words = len(view.words(config.words))
        limit = config.max_newline_ratio
        yield at_most("newline_ratio", ratio(num_newlines, num_words), "too_many_newlines", limit)

    def _check_repetition(self, view: TextView, num_chars: int) -> Check:
        from pretrain.filter.characters import character_flags
        from pretrain.filter.lines import repeated_segments

        found = repeated_segments(view.codes, character_flags(), 1, False, True)
        _, _, repeated_chars, *spans = found.tolist()
        return at_most(
            "repeated_line_char_ratio",
            ratio(repeated_chars, num_chars),
            "line_char_repetition",
            self.config.max_repeated_line_char_ratio,
            lambda: evidence_span(view.text[spans[2] : spans[3]]),
        )
