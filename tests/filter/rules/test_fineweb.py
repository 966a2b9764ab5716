from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.filter.rules.fineweb import FinewebConfig
from tests.filter.judging import Drop, datatrove_cases, drop_of, metrics_of, reason_on

REASON_IN_DATATROVE = {
    "empty": "empty",
    "too_few_ended_lines": "line_punct_ratio",
    "too_many_short_lines": "short_line_ratio",
    "line_char_repetition": "char_dup_ratio",
    "too_many_newlines": "list_ratio",
}

# made by make_datatrove_vectors.py
VECTORS = Path(__file__).parent / "datatrove_fineweb.jsonl"

OFF = {
    "min_ended_line_ratio": None,
    "max_short_line_ratio": None,
    "max_repeated_line_char_ratio": None,
    "max_newline_ratio": None,
}


def judge(text, *tests, **thresholds):
    """The judgement of these tests alone, with their defaults."""
    off = {name: None for name in OFF if name not in tests}
    return drop_of(FinewebConfig(words="whitespace", **{**off, **thresholds}), text)


def test_decides_as_datatrove_does_on_the_same_words():
    cases = datatrove_cases(VECTORS)
    for case in cases:
        reason = reason_on(FinewebConfig(), case)
        assert (reason and REASON_IN_DATATROVE[reason]) == case["reason"], case["text"]
    assert {case["reason"] for case in cases} == {None, *REASON_IN_DATATROVE.values()}


@pytest.mark.parametrize("text", ["", " ", "\n \n\t\u3000\n"])
def test_a_text_without_lines_is_empty(text):
    assert judge(text) == Drop("empty", 0, 1)


@pytest.mark.parametrize(
    ("text", "drop"),
    [
        ("End.\n" * 3 + "no end\n" * 22, None),  # exactly 0.12
        ("End.\n" * 3 + "no end\n" * 23, Drop("too_few_ended_lines", 3 / 26, 0.12)),
        ("End.\n" * 3 + "no end\n" * 22 + " \n\n" * 9, None),  # blank lines are none
        ("ok!\nok?\n完。\nठीक।", None),
        ('"Said."\n(so.)\nwhat…\nthis:\nend. \n', Drop("too_few_ended_lines", 0, 0.12)),  # a space behind is no end
        ("a.\rb.\u2028c", Drop("too_few_ended_lines", 0, 0.12)),  # one line
    ],
)
def test_ended_lines(text, drop):
    assert judge(text, "min_ended_line_ratio") == drop


def test_other_characters_may_end_a_line():
    assert judge('"Said."\nso', "min_ended_line_ratio", stop_chars='"') is None
    assert judge("End.\nso", "min_ended_line_ratio", stop_chars='"') == Drop("too_few_ended_lines", 0, 0.12)


def test_a_text_without_any_ended_line_may_be_accepted():
    assert judge("no end\n" * 9, "min_ended_line_ratio", accept_no_ended_line=True) is None
    dropped = judge("no end\n" * 9 + "End.", "min_ended_line_ratio", accept_no_ended_line=True)
    assert dropped == Drop("too_few_ended_lines", 0.1, 0.12)


@pytest.mark.parametrize(
    ("text", "drop"),
    [
        ("\n".join(["x" * 30] * 67 + ["x" * 31] * 33), None),  # exactly 0.67
        ("\n".join(["x" * 30] * 67 + ["x" * 31] * 32), Drop("too_many_short_lines", 67 / 99, 0.67)),
        ("x" * 31, None),
        ("x" * 30, Drop("too_many_short_lines", 1, 0.67)),
    ],
)
def test_short_lines(text, drop):
    assert judge(text, "max_short_line_ratio") == drop


@pytest.mark.parametrize(
    ("text", "drop"),
    [
        ("a\n" + "x" * 98 + "\na", None),  # 1 of 100: line feeds do not count
        ("a\n" + "x" * 97 + "\na", Drop("line_char_repetition", 1 / 99, 0.01, "a")),
        ("a\n \n \n \nb", None),  # blank lines do not repeat
        ("a\n\na \nb", None),  # but a space makes a difference
    ],
)
def test_repeated_lines(text, drop):
    assert judge(text, "max_repeated_line_char_ratio") == drop


@pytest.mark.parametrize(
    ("text", "drop"),
    [
        ("a b c\nd e f\ng h i\nj", None),  # 3 for 10 words
        ("a b c\nd e f\ng h i\n", Drop("too_many_newlines", 3 / 9, 0.3)),
        ("a b c\n\n\nd e f g h i j", None),  # those of blank lines count too
        ("a b c\n\n\n\nd e f g h i j", Drop("too_many_newlines", 0.4, 0.3)),
    ],
)
def test_newlines(text, drop):
    assert judge(text, "max_newline_ratio") == drop


@given(st.lists(st.sampled_from(["ab.", "ab", "\n", " ", "\t", "\r", "é!", "\u2028"])).map("".join))
def test_measures_what_string_methods_do(text):
    lines = [line for line in text.split("\n") if line.strip()]
    found = metrics_of(FinewebConfig(words="whitespace", short_line_chars=4), text)
    assert found["num_lines"] == len(lines)
    if lines:
        chars = sum(len(line) for index, line in enumerate(lines) if line in lines[:index])
        assert found["ended_line_ratio"] == sum(line.endswith((".", "!")) for line in lines) / len(lines)
        assert found["short_line_ratio"] == sum(len(line) <= 4 for line in lines) / len(lines)
        assert found["repeated_line_char_ratio"] == chars / len(text.replace("\n", ""))
        assert found["newline_ratio"] == text.count("\n") / len(text.split())
