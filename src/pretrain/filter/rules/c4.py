r"""`c4`: the rules of the Colossal Clean Crawled Corpus, which remove lines and drop pages.

Lines are those of `str.splitlines`, without outer whitespace. Each is judged in this order, and removed at the first
that holds; the metric `num_lines_removed_<name>` counts them.

| name | datatrove's statistic | the line goes when |
|---|---|---|
| `long_word` | too_long_word | a word (cut at whitespace) has more than 1,000 characters |
| | | then citations are cut out: [1], [], [edit], [citation needed] |
| `no_end_mark` | no_terminal_punc | it does not end with . ? ! " or ', or ends with "..." |
| `few_words` | too_few_words | it has fewer than 3 words (counted before citations are cut out) |
| `javascript` | javascript | it has "javascript" in any case |
| `policy` | policy | it has "terms of use", "privacy policy", "cookie policy", "uses cookies", ... |
| `blank` | no_terminal_punc or too_few_words | nothing but whitespace was there |

| reason | datatrove's reason | the text goes when |
|---|---|---|
| `lorem_ipsum` | lorem_ipsum | a line that passed the tests before `javascript` has "lorem ipsum" in any case |
| `curly_bracket` | curly_bracket | a line that passed the tests before `policy` has a "{" |
| `too_few_sentences` | too_few_sentences | all lines that stay have fewer than 5 sentences |
| `no_lines_left` | (kept, as an empty text) | nothing stays and no test of sentences drops it |
| `too_few_long_paragraphs` | < 3 paragraphs | mC4 only: under 3 lines of those left have 200 characters |
| `bad_word` | document_removed_with_badwords | one of a given list of words is in it |

What stays is joined by line feeds and goes on as the text: one change `lines_removed` in the ledger, with the
number of lines removed that were not blank (0 where only citations or whitespace went).

Source: Raffel et al. 2020, "Exploring the Limits of Transfer Learning", JMLR 21(140), section 2.2, and
tensorflow_datasets, `text/c4_utils.py`; decisions and order as datatrove 0.10.1, `c4_filters.py`. The variant `paper`
has the paper's numbers (3 words, 5 sentences; datatrove's defaults), `tfds` those of the code that made C4 (5 words,
3 sentences). The paragraphs are mC4's: Xue et al. 2021, arXiv:2010.11934. No list of bad words is bundled.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pretrain.config import Location
from pretrain.external import ExternalInput, Surroundings, external_file
from pretrain.filter import c4_lines
from pretrain.filter.c4_lines import C4LineConfig, Page, judge_page
from pretrain.filter.entries import read_entries, stamps
from pretrain.filter.splitters import require_splitter
from pretrain.filter.textview import TextView
from pretrain.filter.verdict import Check, Rewrite, at_least, evidence_span

_VARIANTS: Mapping[str, Mapping[str, int]] = {
    "paper": {"min_words_per_line": 3, "min_sentences": 5},
    "tfds": {"min_words_per_line": 5, "min_sentences": 3},
}
_REMOVED = (
    c4_lines.LONG_WORD,
    c4_lines.NO_END_MARK,
    c4_lines.FEW_WORDS,
    c4_lines.JAVASCRIPT,
    c4_lines.POLICY,
    c4_lines.BLANK,
)
_DROPPING = (c4_lines.LOREM_IPSUM, c4_lines.CURLY_BRACKET)


class C4Config(C4LineConfig):
    """The rules of C4; null or false switches a test off."""

    rule: Literal["c4"] = "c4"
    variant: Literal["paper", "tfds"] = Field(
        default="paper", description="Whose min_words_per_line and min_sentences, where they are not given"
    )
    min_paragraph_chars: int | None = Field(
        default=None, ge=1, description="Characters of the third longest line left (mC4: 200; C4: null, no test)"
    )
    bad_words: Annotated[str | None, Location()] = Field(
        default=None, description="A file of words, one a line, that drop a text; in any case (C4: LDNOOBW's list)"
    )
    bad_words_within_words: bool = Field(
        default=False, description="Find them inside words too (datatrove: for Japanese, Thai and Chinese)"
    )

    @model_validator(mode="before")
    @classmethod
    def _take_numbers_of_variant(cls, data: Any) -> Any:
        numbers = _VARIANTS.get(data.get("variant", "paper"), {}) if isinstance(data, dict) else {}
        return {**numbers, **data} if numbers else data

    def external(self, name: str, around: Surroundings) -> ExternalInput | None:
        """The list of bad words."""
        if self.bad_words is None:
            return None
        path = around.recipe_folder / Path(self.bad_words).expanduser()
        return ExternalInput(name, (external_file(path, "bad_words", around.hashes),))

    def make_rule(self, files: Mapping[str, Path]) -> "C4":
        """The rule with these thresholds.

        Raises:
            InputError: the config asks for spaCy, which is not installed, or the list cannot be read.
        """
        require_splitter(self.words)
        return C4(self, _bad_words(stamps(files), self.bad_words_within_words) if files else None)


@functools.lru_cache(maxsize=4)
def _bad_words(files: tuple[tuple[str, Path, int, int], ...], is_within_words: bool) -> re.Pattern[str]:
    words = {word for _, path, *_ in files for word in read_entries(path, str.lower)}
    pattern = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    return re.compile(pattern if is_within_words else rf"(?:\W|^)({pattern})(?:\W|$)")


class C4:
    """The rules of C4 with the thresholds of one config.

    Args:
        config: the thresholds.
        bad_words: finds one in a text in lower case; None: there is no list.
    """

    metrics = (
        "num_lines",
        *(f"num_lines_removed_{name}" for name in _REMOVED),
        *(f"num_{name}_lines" for name in _DROPPING),
        "num_sentences",
        "num_lines_kept",
        "long_paragraph_chars",
        "num_bad_words",
    )

    def __init__(self, config: C4Config, bad_words: re.Pattern[str] | None = None) -> None:
        self.config = config
        self._bad_words = bad_words

    def checks(self, view: TextView) -> Iterator[Check | Rewrite]:
        """The tests of lines all at once, and then those of the page in datatrove's order."""
        page = judge_page(view, self.config)
        counts = page.counts
        yield _measured("num_lines", counts.total())
        for name in _REMOVED:
            yield _measured(f"num_lines_removed_{name}", counts[name])
        yield from _check_page(page)
        if self.config.min_sentences is not None:
            yield at_least("num_sentences", page.num_sentences, "too_few_sentences", self.config.min_sentences)
        text = (" " if self.config.unit == "sentence" else "\n").join(page.kept).strip()
        yield at_least("num_lines_kept", len(page.kept) if text else 0, "no_lines_left", 1)
        yield from self._check_text(text)
        if text != view.text:
            num_removed = counts.total() - counts[c4_lines.KEPT] - counts[c4_lines.BLANK]
            evidence = evidence_span(next(iter(page.firsts.values()))) if page.firsts else None
            yield Rewrite(text, "lines_removed", value=num_removed, evidence=evidence)

    def _check_text(self, text: str) -> Iterator[Check]:
        if self.config.min_paragraph_chars is not None:
            lengths = sorted(map(len, text.split("\n")))
            third = lengths[-3] if len(lengths) >= 3 else 0
            limit = self.config.min_paragraph_chars
            yield at_least("long_paragraph_chars", third, "too_few_long_paragraphs", limit)
        if self._bad_words is not None:
            found = self._bad_words.search(text.lower())
            evidence = evidence_span(found.group().strip()) if found else None
            yield Check("num_bad_words", 1 if found else 0, found is not None, "bad_word", 0, evidence)


def _check_page(page: Page) -> Iterator[Check]:
    """Whether a line drops the page; that which comes first gives the reason."""
    present = [name for name in page.firsts if name in _DROPPING]
    for name in dict.fromkeys((*present, *_DROPPING)):
        evidence = evidence_span(page.firsts[name]) if name in page.firsts else None
        yield Check(f"num_{name}_lines", page.counts[name], name in page.firsts, name, 0, evidence)


def _measured(metric: str, value: int) -> Check:
    """A number that no test reads."""
    return Check(metric, value, False, metric)
