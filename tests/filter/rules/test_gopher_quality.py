from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.filter.rules.gopher_quality import GopherQualityConfig
from tests.filter.judging import Drop, datatrove_cases, drop_of, metrics_of, reason_on

REASON_IN_DATATROVE = {
    "too_few_words": "gopher_short_doc",
    "too_many_words": "gopher_long_doc",
    "mean_word_too_short": "gopher_below_avg_threshold",
    "mean_word_too_long": "gopher_above_avg_threshold",
    "too_many_hashes": "gopher_too_many_hashes",
    "too_many_ellipses": "gopher_too_many_ellipsis",
    "too_many_bullet_lines": "gopher_too_many_bullets",
    "too_many_ellipsis_lines": "gopher_too_many_end_ellipsis",
    "too_few_alphabetic_words": "gopher_below_alpha_threshold",
    "too_few_stop_words": "gopher_enough_stop_words",
}

# One JSON object a line: text, its words, and the reason that datatrove 0.10.1's GopherQualityFilter()
# gave for them (null: kept). Words null means text.split(), put in the place of its word splitter;
# those texts were drawn at random from words, symbols and line ends until every reason but
# gopher_long_doc had six. The others are CC0 documents (Ethereum improvement proposals, digital.gov)
# with the words of datatrove's own splitter.
VECTORS = Path(__file__).parent / "datatrove_gopher_quality.jsonl"


def judge(text, **thresholds):
    return drop_of(GopherQualityConfig(words="whitespace", **thresholds), text)


def test_decides_as_datatrove_does_on_the_same_words():
    cases = datatrove_cases(VECTORS)
    for case in cases:
        reason = reason_on(GopherQualityConfig(), case)
        assert (reason and REASON_IN_DATATROVE[reason]) == case["reason"], case["text"]
    assert len(cases) == 70


# 50 words of 4 characters on average, 25 of them stop words, on one line
PROSE = "that with " * 20 + "to be of to be of to be of sturdier"


def test_prose_stays():
    assert len(PROSE.split()) == 50
    assert judge(PROSE) is None


@pytest.mark.parametrize(
    ("text", "thresholds", "drop"),
    [
        ("", {}, Drop("too_few_words", 0, 50)),
        (PROSE.removesuffix(" sturdier"), {}, Drop("too_few_words", 49, 50)),
        (
            PROSE.removesuffix(" sturdier") + " -- ... #",
            {},
            Drop("too_few_words", 49, 50),
        ),  # symbols are no words
        ("word " * 100_001, {}, Drop("too_many_words", 100_001, 100_000)),
        (PROSE, {"max_words": 50}, None),
        (PROSE + " more", {"max_words": 50}, Drop("too_many_words", 51, 50)),
        ("to be the " * 20, {}, Drop("mean_word_too_short", 140 / 60, 3)),
        ("and the " * 30, {}, None),  # exactly 3
        ("to the worldwide and incorporated " * 12, {"max_mean_word_chars": 5.8}, None),  # exactly 5.8
        (
            "to the worldwide and incorporated " * 12,
            {"max_mean_word_chars": 5.7},
            Drop("mean_word_too_long", 5.8, 5.7, "incorporated"),
        ),
        (PROSE + " #tag" * 5, {}, None),  # 5 "#" among 55 words
        (PROSE + " #tag" * 6, {}, Drop("too_many_hashes", 6 / 56, 0.1)),
        (PROSE + " so... so…" * 3, {}, Drop("too_many_ellipses", 6 / 56, 0.1)),
        (PROSE + " 2024" * 12, {}, None),  # 50 of 62
        (PROSE + " 2024" * 13, {}, Drop("too_few_alphabetic_words", 50 / 63, 0.8, "2024")),
        ("that word " * 30, {}, Drop("too_few_stop_words", 1, 2, "that")),
        (PROSE.upper(), {}, Drop("too_few_stop_words", 0, 2)),  # case counts
        (PROSE.upper(), {"stop_words": ("THAT", "WITH")}, None),
    ],
)
def test_prose_with_a_little_more_or_less(text, thresholds, drop):
    assert judge(text, **thresholds) == drop


@pytest.mark.parametrize(
    ("text", "drop"),
    [
        ("- to be\n • to be\n" * 15, Drop("too_many_bullet_lines", 1, 0.9, "- to be")),
        ("- to be\n" * 18 + "to be\n\n", None),  # exactly 0.9 of 20 lines
        ("- to be\n" * 18 + "to be\n", Drop("too_many_bullet_lines", 18 / 19, 0.9, "- to be")),
        ("* to be\n" * 20, None),  # an asterisk is no bullet here
        ("to be with...\n" * 3 + "to be\n" * 7, None),  # exactly 0.3
        (
            "to be with… \r\n" * 4 + "to be\u2028" * 6,
            Drop("too_many_ellipsis_lines", 0.4, 0.3, "to be with… "),
        ),
    ],
)
def test_lines(text, drop):
    off = dict.fromkeys(["min_words", "min_mean_word_chars", "max_symbol_ratio", "min_alphabetic_word_ratio"])
    assert judge(text, **off) == drop


def test_the_stop_words_are_eight():
    text = "a the in be is to for of or and on that at have as with by"
    assert metrics_of(GopherQualityConfig(words="whitespace"), text)["num_stop_words"] == 8
    for word in ("the", "be", "to", "of", "and", "that", "have", "with"):
        assert metrics_of(GopherQualityConfig(words="whitespace"), f"is {word} so")["num_stop_words"] == 1


OFF = {
    "min_words": None,
    "max_words": None,
    "min_mean_word_chars": None,
    "max_mean_word_chars": None,
    "max_symbol_ratio": None,
    "max_bullet_line_ratio": None,
    "max_ellipsis_line_ratio": None,
    "min_alphabetic_word_ratio": None,
    "min_stop_words": None,
}


BULLET, ELLIPSIS = "- to be\n", "to be...\n"


@pytest.mark.parametrize(
    ("test", "text", "drop"),
    [
        ("min_words", "word " * 50, None),
        ("min_words", "word " * 49, Drop("too_few_words", 49, 50)),
        ("max_words", "word " * 100_000, None),
        ("max_words", "word " * 100_001, Drop("too_many_words", 100_001, 100_000)),
        ("min_mean_word_chars", "abc " * 50, None),
        ("min_mean_word_chars", "abc " * 49 + "ab", Drop("mean_word_too_short", 2.98, 3)),
        ("max_mean_word_chars", "tencharact " * 50, None),
        (
            "max_mean_word_chars",
            "tencharact " * 49 + "elevenchars",
            Drop("mean_word_too_long", 10.02, 10, "elevenchars"),
        ),
        ("max_symbol_ratio", "word " * 90 + "# " * 10, None),
        ("max_symbol_ratio", "word " * 89 + "# " * 11, Drop("too_many_hashes", 0.11, 0.1)),
        ("max_symbol_ratio", "word " * 90 + "... … " * 5, None),
        ("max_symbol_ratio", "word " * 89 + "... … " * 5 + "...", Drop("too_many_ellipses", 0.11, 0.1)),
        ("max_bullet_line_ratio", BULLET * 90 + "to be\n" * 10, None),
        ("max_bullet_line_ratio", BULLET * 91 + "to be\n" * 9, Drop("too_many_bullet_lines", 0.91, 0.9, "- to be")),
        ("max_ellipsis_line_ratio", ELLIPSIS * 30 + "to be\n" * 70, None),
        (
            "max_ellipsis_line_ratio",
            ELLIPSIS * 31 + "to be\n" * 69,
            Drop("too_many_ellipsis_lines", 0.31, 0.3, "to be..."),
        ),
        ("min_alphabetic_word_ratio", "word " * 80 + "2024 " * 20, None),
        ("min_alphabetic_word_ratio", "word " * 79 + "2024 " * 21, Drop("too_few_alphabetic_words", 0.79, 0.8, "2024")),
        ("min_stop_words", "of all the words", None),
        ("min_stop_words", "the words the", Drop("too_few_stop_words", 1, 2, "the")),
    ],
)
def test_each_default_at_its_threshold_and_at_the_nearest_beyond(test, text, drop):
    assert judge(text, **{name: None for name in OFF if name != test}) == drop


@given(st.text())
def test_null_switches_every_test_off(text):
    assert judge(text, **OFF) is None


@given(st.text(alphabet=st.sampled_from("# .…•-\nab1"), max_size=40), st.sampled_from(sorted(OFF)))
def test_no_text_makes_a_single_test_fail_to_decide(text, name):
    # where datatrove divides by no words or no lines
    drop = judge(text, **{**OFF, name: GopherQualityConfig.model_fields[name].default})
    assert drop is None or drop.reason in REASON_IN_DATATROVE
