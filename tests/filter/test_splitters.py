import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.filter.splitters import split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n\t", []),
        ("Hello, world!", ["Hello", ",", "world", "!"]),
        ("don't, it's; John’s", ["don", "'t", ",", "it", "'s", ";", "John", "’s"]),
        ("well-known and/or x", ["well", "-", "known", "and", "/", "or", "x"]),
        ("3,000 at 10:30 is 1/2", ["3,000", "at", "10:30", "is", "1/2"]),
        ("foo(bar).baz std::vector a_b", ["foo(bar).baz", "std::vector", "a_b"]),
        ("wait... what?!", ["wait", "...", "what", "?", "!"]),
        ("“quoted” (so)", ["“", "quoted", "”", "(", "so", ")"]),
        ("end.Start", ["end", ".", "Start"]),
        ("「東京都は、大きい」。", ["「", "東京都は、大きい", "」", "。"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),  # combining vowel signs stay in their word
        ("# Title\n- item", ["#", "Title", "-", "item"]),
    ],
)
def test_regex(text, words):
    assert split_words(text, "regex") == words


def test_whitespace():
    assert split_words("It's  a\u3000(small)\nworld.", "whitespace") == ["It's", "a", "(small)", "world."]


@given(st.text(), st.sampled_from(["regex", "whitespace"]))
def test_no_character_but_whitespace_is_lost(text, splitter):
    words = split_words(text, splitter)
    assert all(words)
    assert "".join(words) == "".join(text.split())


@pytest.mark.parametrize("unit", ["-", "a-", "a'", "..", "(", "a.b", "’s", "\u2014", "é!"])
@pytest.mark.timeout(20)
def test_a_hostile_line_takes_linear_time(unit):
    assert "".join(split_words("x" + unit * 300_000, "regex")) == "x" + unit * 300_000
