import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.errors import InputError
from pretrain.filter.rules.gopher_quality import GopherQualityConfig
from pretrain.filter.splitters import spacy_pipeline, split_words


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


@pytest.mark.slow  # spaCy imports torch
def test_spacy():
    pytest.importorskip("spacy", reason="words: spacy needs the optional dependency")
    assert split_words("Don't stop\u3000e.g.  now, U.S.!\n", "spacy") == [
        "Do",
        "n't",
        "stop",
        "e.g.",
        "now",
        ",",
        "U.S.",
        "!",
    ]


def test_without_spacy_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy", None)
    spacy_pipeline.cache_clear()
    with pytest.raises(InputError, match=r"pip install 'pretrain\[spacy\]'"):
        GopherQualityConfig(words="spacy").make_rule({})


@given(st.text(), st.sampled_from(["regex", "whitespace"]))
def test_no_character_but_whitespace_is_lost(text, splitter):
    words = split_words(text, splitter)
    assert all(words)
    assert "".join(words) == "".join(text.split())


@pytest.mark.parametrize("unit", ["-", "a-", "a'", "..", "(", "a.b", "’s", "\u2014", "é!"])
@pytest.mark.timeout(20)
def test_a_hostile_line_takes_linear_time(unit):
    assert "".join(split_words("x" + unit * 300_000, "regex")) == "x" + unit * 300_000
