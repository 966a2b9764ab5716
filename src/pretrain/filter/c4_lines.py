r"""What C4's rules make of each line of a page.

`judge_line` is the definition: one line after another, as datatrove 0.10.1's `C4QualityFilter` has it.
`judge_page` gives the same for a whole text: a compiled loop decides on all lines, and `judge_line` on those few
where a citation is cut out, a phrase occurs or a curly bracket; a test compares the two.
"""

import re
from bisect import bisect_right
from typing import Literal, NamedTuple

from pydantic import Field

from pretrain.filter.rule_config import RuleConfig
from pretrain.filter.sentences import split_sentences
from pretrain.filter.textview import TextView

KEPT = "kept"
BLANK = "blank"
LONG_WORD = "long_word"
NO_END_MARK = "no_end_mark"
FEW_WORDS = "few_words"
JAVASCRIPT = "javascript"
POLICY = "policy"
LOREM_IPSUM = "lorem_ipsum"  # of the page
CURLY_BRACKET = "curly_bracket"  # of the page

_SCANNED = (KEPT, BLANK, LONG_WORD, NO_END_MARK, FEW_WORDS)  # by the numbers of the kernel
_CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
_END_MARKS = (".", "?", "!", '"', "'")
_POLICY_PHRASES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)


class C4LineConfig(RuleConfig):
    """The tests of C4 on single lines; null or false switches one off."""

    words: Literal["regex", "spacy"] = Field(
        default="regex", description="How the words are found that sentences are counted by: regex or spacy"
    )
    unit: Literal["line", "sentence"] = Field(
        default="line", description="What is judged and removed: lines (C4), or the sentences of the text"
    )
    remove_citations: bool = Field(default=True, description="Cut out [1], [edit] and [citation needed]")
    require_end_mark: bool = Field(
        default=True,
        description='Remove lines that do not end with one of . ? ! " \' or that end with "..." (FineWeb: false)',
    )
    min_words_per_line: int | None = Field(default=3, ge=0, description="Words of a line (paper: 3, tfds: 5)")
    max_word_chars: int | None = Field(default=1000, ge=0, description="Characters of its longest word (tfds: 1000)")
    min_sentences: int | None = Field(
        default=5, ge=0, description="Sentences of all lines that stay (paper: 5, tfds: 3)"
    )
    drop_lorem_ipsum: bool = Field(default=True, description='Drop a text with "lorem ipsum" in any case')
    remove_javascript_lines: bool = Field(default=True, description='Remove lines with "javascript" in any case')
    drop_curly_brackets: bool = Field(default=True, description='Drop a text with "{"')
    remove_policy_lines: bool = Field(
        default=True, description='Remove lines with "terms of use", "privacy policy", "use cookies" and the like'
    )


class Line(NamedTuple):
    """A line after its tests.

    Attributes:
        text: without outer whitespace and citations.
        outcome: one of the names above: it stays, or why it or the page goes.
        num_sentences: its sentences when it stays, else 0; 0 too when no test counts them.
    """

    text: str
    outcome: str
    num_sentences: int


def judge_line(line: str, config: C4LineConfig) -> Line:
    """One line by the rules as they are written down."""
    text = line.strip()
    words = text.split()
    if config.max_word_chars is not None and any(len(word) > config.max_word_chars for word in words):
        return Line(text, LONG_WORD, 0)
    if config.remove_citations:
        text = _CITATION.sub("", text)
    outcome = _outcome(text, len(words), config)
    if outcome != KEPT or config.min_sentences is None:
        return Line(text, outcome, 0)
    return Line(text, KEPT, 1 if config.unit == "sentence" else len(split_sentences(text, config.words)))


def _outcome(text: str, num_words: int, config: C4LineConfig) -> str:
    lowered = text.lower()
    if config.require_end_mark and (not text.endswith(_END_MARKS) or text.endswith("...")):
        return NO_END_MARK if num_words else BLANK
    if num_words < (config.min_words_per_line or 0):
        return FEW_WORDS if num_words else BLANK
    if config.drop_lorem_ipsum and "lorem ipsum" in lowered:
        return LOREM_IPSUM
    if config.remove_javascript_lines and "javascript" in lowered:
        return JAVASCRIPT
    if config.drop_curly_brackets and "{" in text:
        return CURLY_BRACKET
    if config.remove_policy_lines and any(phrase in lowered for phrase in _POLICY_PHRASES):
        return POLICY
    return KEPT


def judge_page(view: TextView, config: C4LineConfig) -> list[Line]:
    """Every line of a text, or every sentence."""
    if config.unit == "sentence":
        return [judge_line(sentence, config) for sentence in split_sentences(view.text, config.words)]
    if config.words != "regex" and config.min_sentences is not None:
        return [judge_line(line, config) for line in view.text.splitlines()]
    return _scan_page(view, config)


def _scan_page(view: TextView, config: C4LineConfig) -> list[Line]:
    from pretrain.filter.c4_kernels import count_sentences, scan_lines
    from pretrain.filter.characters import character_flags

    text, flags = view.text, character_flags()
    max_word_chars = -1 if config.max_word_chars is None else config.max_word_chars
    scanned = scan_lines(view.codes, flags, max_word_chars, config.min_words_per_line or 0, config.require_end_mark)
    starts, ends, outcomes = scanned.T.tolist()
    counts = [0] * len(starts)
    if config.min_sentences is not None:
        words = view.words("regex")
        counts = count_sentences(view.codes, flags, words.starts, words.ends, scanned).tolist()
    lines = [
        Line(text[start:end], _SCANNED[outcome], 0 if outcome else count)
        for start, end, outcome, count in zip(starts, ends, outcomes, counts, strict=True)
    ]
    for index in _special_lines(text, starts, ends, config):
        lines[index] = judge_line(text[starts[index] : ends[index]], config)
    return lines


def _special_lines(text: str, starts: list[int], ends: list[int], config: C4LineConfig) -> set[int]:
    """Lines with something in them that the kernel does not see."""
    lowered = text.lower()
    if len(lowered) != len(text):  # "İ" becomes two characters: places in the one are not those in the other
        return set(range(len(starts)))
    needles = [
        *(["lorem ipsum"] if config.drop_lorem_ipsum else []),
        *(["javascript"] if config.remove_javascript_lines else []),
        *(["{"] if config.drop_curly_brackets else []),
        *(_POLICY_PHRASES if config.remove_policy_lines else []),
    ]
    found = set()
    for needle in needles:
        place = lowered.find(needle)
        while place >= 0:
            index = bisect_right(starts, place) - 1
            found.add(index)
            place = lowered.find(needle, ends[index])
    if config.remove_citations and "[" in text:
        found.update(bisect_right(starts, match.start()) - 1 for match in _CITATION.finditer(text))
    return found
