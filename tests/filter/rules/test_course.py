import heapq
import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.filter.judgement import Judge
from pretrain.filter.rules.course import CourseConfig
from tests.filter.judging import Drop, drop_of


def judge(text, **thresholds):
    return drop_of(CourseConfig(**thresholds), text)


@pytest.mark.parametrize(
    ("text", "reason", "value", "threshold"),
    [
        ("", "too_few_lines", 1, 3),
        ("one line of prose", "too_few_lines", 1, 3),
        ("abc\nabc", "too_few_lines", 2, 3),
        ("\n\n", "paragraph_too_short", 0, 3),  # three lines, all blank
        ("abc\ndef\ngh", "paragraph_too_short", 2, 3),
        ("a\nlong line\nb\nlong line\nc", "paragraph_too_short", 1, 3),  # the third longest counts
        ("abc\r\ndef\r", "too_few_lines", 2, 3),  # a carriage return ends no line, but is a character
        ("abc\ndef\ng\r\n", "paragraph_too_short", 2, 3),
        ("abc\ndef\ngh\u2028i", None, None, None),  # and U+2028 ends none: four characters
    ],
)
def test_paragraph_length(text, reason, value, threshold):
    drop = judge(text, max_repeated_paragraph_ratio=None, max_repeated_char_ratio=None)
    assert drop == (Drop(reason, value, threshold) if reason else None)


@pytest.mark.parametrize(
    ("text", "drop"),
    [
        ("abc\n\ndef\n\nabc", Drop("paragraph_repetition", 1 / 3, 0.3, "abc")),
        ("abc\n\n\n\n\nabc", Drop("paragraph_repetition", 1 / 2, 0.3, "abc")),  # any number of line feeds
        ("abc\ndef\nabc", None),  # lines are no paragraphs
        ("abc\n \ndef\n \nabc", None),  # nor does a line of spaces part paragraphs
        ("\n\nabc \n\nabc\n\n", None),  # the space makes another paragraph
        (" abc\n\nabc ", Drop("paragraph_repetition", 1 / 2, 0.3, "abc")),  # but outer whitespace goes
        # 3 of 10 paragraphs is the limit and stays; the characters of those 3 are few
        ("\n\n".join(["aa", "aa", "aa", "aa", *(f"long paragraph {i}" for i in range(6))]), None),
        # 3 of 9 goes; so do 31 of 100, where 30 stay
        (
            "\n\n".join(["aa", "aa", "aa", "aa", *(f"long paragraph {i}" for i in range(5))]),
            Drop("paragraph_repetition", 3 / 9, 0.3, "aa"),
        ),
        ("\n\n".join(["aa"] * 31 + [f"long paragraph {i}" for i in range(69)]), None),
        (
            "\n\n".join(["aa"] * 32 + [f"long paragraph {i}" for i in range(68)]),
            Drop("paragraph_repetition", 0.31, 0.3, "aa"),
        ),
        # 1 of 4 paragraphs repeats, and holds 20 of the 65 characters
        (
            f"first\n\n{'r' * 20}\n\nsecond one\n\n{'r' * 20}\n\n\n\n",
            Drop("paragraph_char_repetition", 20 / 65, 0.2, "r" * 20),
        ),
        # exactly 0.2 of the characters stays, and the trailing space counts among them
        (f"first\n\n{'r' * 20}\n\nsecond one\n\n{'r' * 20}" + " " * 39, None),
        (
            f"first\n\n{'r' * 20}\n\nsecond one\n\n{'r' * 20}" + " " * 38,
            Drop("paragraph_char_repetition", 20 / 99, 0.2, "r" * 20),
        ),
    ],
)
def test_paragraph_repetition(text, drop):
    assert judge(text, min_long_lines=0) == drop


def test_the_empty_text_without_the_length_test_stays():
    assert judge("", min_long_lines=0) is None
    assert judge(" \n\n ", min_long_lines=0) is None


def test_thresholds_are_config():
    assert judge("ab\nab\nab", min_line_chars=2) is None
    assert judge("abc\nabc", min_long_lines=2) is None
    assert judge("a\n\na", min_long_lines=0, max_repeated_paragraph_ratio=0.5) == Drop(
        "paragraph_char_repetition", 1 / 4, 0.2, "a"
    )
    assert judge("a\n\na", min_long_lines=0, max_repeated_paragraph_ratio=0.5, max_repeated_char_ratio=0.25) is None


def test_evidence_is_short():
    paragraph = "p" * 500
    drop = judge(f"{paragraph}\n\n{paragraph}", min_long_lines=0)
    assert drop.evidence == "p" * 79 + "…"


def course_keeps(text):
    """The course's two functions as its notebook defines them, written out again."""
    lines = text.split("\n")
    if len(lines) < 3 or min(heapq.nlargest(3, [len(line) for line in lines])) < 3:
        return False
    paragraphs = re.split(r"\n{2,}", text.strip())
    seen, num_repeated, num_chars = set(), 0, 0
    for paragraph in paragraphs:
        if paragraph in seen:
            num_repeated += 1
            num_chars += len(paragraph)
        seen.add(paragraph)
    return not (num_repeated / len(paragraphs) > 0.3 or num_chars / len(text) > 0.2)


@given(
    st.lists(st.sampled_from(["a", "bcd", "efgh", "\n", "\n\n", "\n\n\n", " ", "\t", "\r\n", "\u2028"])).map("".join)
)
def test_decides_as_the_course_does(text):
    assert (judge(text) is None) == course_keeps(text)


def column_keeps(texts, **thresholds):
    judge_texts = Judge([("course", CourseConfig(**thresholds).make_rule({}))])
    return judge_texts.keeps(pa.chunked_array([pa.array(texts, pa.large_string())]))


TEXTS = st.lists(
    st.sampled_from(
        ["a", "bcd", "efgh", "\n", "\n\n", "\n\n\n", " ", "\t", "\r\n", "\u2028", "\u3000", "é", "東京都", "🙂"]
    )
).map("".join)


@given(
    st.lists(TEXTS, max_size=5),
    st.sampled_from([{}, {"min_long_lines": 0}, {"min_line_chars": 0}, {"max_repeated_char_ratio": None}]),
)
def test_a_column_of_texts_is_decided_as_each_is(texts, thresholds):
    assert column_keeps(texts, **thresholds) == [judge(text, **thresholds) is None for text in texts]
    assert column_keeps(texts, max_repeated_paragraph_ratio=None, **thresholds) == [
        judge(text, max_repeated_paragraph_ratio=None, **thresholds) is None for text in texts
    ]


@pytest.mark.parametrize(
    "text",
    [
        "\n\n".join(map(str, range(100, 3000))),  # more paragraphs than are looked at
        "\n\n".join(f"same start {n:03} and same end" for n in range(900)),  # many that only look alike
    ],
)
def test_a_column_leaves_unusual_texts_undecided(text):
    assert judge(text) is None
    assert column_keeps([text, "abc\ndef\nghi"]) == [False, True]


def test_a_slice_of_a_column_is_decided():
    column = pa.array(["x", "abc\ndef\nghi", "é\n東京", "abc\n東京都\nghi"], pa.large_string())
    decide = Judge([("course", CourseConfig().make_rule({}))])
    assert decide.keeps(pa.chunked_array([column.slice(1)])) == [True, False, True]
