r"""What C4's rules make of each line of a page.

`judge_line` is the definition: one line after another, as datatrove 0.10.1's `C4QualityFilter` has it.
`judge_page` gives the same for a whole text: a compiled loop decides on all lines, and `judge_line` on those few
where a citation is cut out, a phrase occurs or a curly bracket; a test compares the two. Only lines that stay become
objects: a page may have millions of the others.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field

from pretrain.filter.rule_config import RuleConfig
from pretrain.filter.sentences import split_sentences
from pretrain.filter.textview import TextView

if TYPE_CHECKING:
    from pretrain.filter.compiling import OffsetArray

KEPT = "kept"
BLANK = "blank"
LONG_WORD = "long_word"
NO_END_MARK = "no_end_mark"
FEW_WORDS = "few_words"
JAVASCRIPT = "javascript"
POLICY = "policy"
LOREM_IPSUM = "lorem_ipsum"  # of the page
CURLY_BRACKET = "curly_bracket"  # of the page

# By number; the first five are the kernel's.
_OUTCOMES = (KEPT, BLANK, LONG_WORD, NO_END_MARK, FEW_WORDS, JAVASCRIPT, POLICY, LOREM_IPSUM, CURLY_BRACKET)
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


class Page(NamedTuple):
    """All lines of a page after their tests.

    Attributes:
        counts: the lines by outcome.
        kept: the texts of those that stay, in order.
        num_sentences: their sentences; 0 when no test counts them.
        firsts: for each outcome but KEPT and BLANK the text of the first line that has it, in the order of the page.
    """

    counts: Counter[str]
    kept: list[str]
    num_sentences: int
    firsts: dict[str, str]


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


def judge_page(view: TextView, config: C4LineConfig) -> Page:
    """Every line of a text, or every sentence."""
    if config.unit == "sentence":
        return page_of(judge_line(sentence, config) for sentence in split_sentences(view.text, config.words))
    if config.words != "regex" and config.min_sentences is not None:
        return page_of(judge_line(line, config) for line in view.text.splitlines())
    return _scan_page(view, config)


def page_of(lines: Iterable[Line]) -> Page:
    """A page of lines that were judged one by one."""
    counts: Counter[str] = Counter()
    kept: list[str] = []
    firsts: dict[str, str] = {}
    num_sentences = 0
    for line in lines:
        counts[line.outcome] += 1
        if line.outcome == KEPT:
            kept.append(line.text)
            num_sentences += line.num_sentences
        elif line.outcome != BLANK:
            firsts.setdefault(line.outcome, line.text)
    return Page(counts, kept, num_sentences, firsts)


def _scan_page(view: TextView, config: C4LineConfig) -> Page:
    import numpy as np

    from pretrain.filter.c4_kernels import count_sentences, scan_lines
    from pretrain.filter.characters import character_flags

    text, flags = view.text, character_flags()
    max_word_chars = -1 if config.max_word_chars is None else config.max_word_chars
    min_words = config.min_words_per_line or 0
    scanned, num_blank = scan_lines(view.codes, flags, max_word_chars, min_words, config.require_end_mark)
    starts, ends, outcomes = scanned.T
    sentences = np.zeros(len(scanned), np.int64)
    if config.min_sentences is not None:
        words = view.words("regex")
        sentences = count_sentences(view.codes, flags, words.starts, words.ends, scanned)
    special: dict[int, str] = {}
    for index in _special_lines(text, starts, ends, config):
        line = judge_line(text[starts[index] : ends[index]], config)
        special[index], outcomes[index], sentences[index] = line.text, _OUTCOMES.index(line.outcome), line.num_sentences

    def text_of(index: int) -> str:
        return special[index] if index in special else text[starts[index] : ends[index]]

    counts = Counter({_OUTCOMES[code]: count for code, count in enumerate(np.bincount(outcomes).tolist()) if count})
    first_of_each = sorted((int(np.argmax(outcomes == _OUTCOMES.index(name))), name) for name in counts if name != KEPT)
    firsts = {name: text_of(index) for index, name in first_of_each}
    counts[BLANK] += num_blank
    is_kept = outcomes == 0
    kept = [text_of(index) for index in np.flatnonzero(is_kept).tolist()]
    return Page(counts, kept, int(sentences[is_kept].sum()), firsts)


def _special_lines(text: str, starts: "OffsetArray", ends: "OffsetArray", config: C4LineConfig) -> set[int]:
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
