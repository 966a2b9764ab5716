from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.filter.rules.gopher_repetition import GopherRepetitionConfig
from tests.filter.judging import Drop, datatrove_cases, drop_of, metrics_of, reason_on

REASON_IN_DATATROVE = {
    "empty": "empty",
    "paragraph_repetition": "dup_para_frac",
    "paragraph_char_repetition": "dup_para_char_frac",
    "line_repetition": "dup_line_frac",
    "line_char_repetition": "dup_line_char_frac",
    **{f"top_{n}_gram": f"top_{n}_gram" for n in (2, 3, 4)},
    **{f"duplicate_{n}_gram": f"duplicated_{n}_n_grams" for n in (5, 6, 7, 8, 9, 10)},
}

# made by make_datatrove_vectors.py
VECTORS = Path(__file__).parent / "datatrove_gopher_repetition.jsonl"

OFF = {
    "max_repeated_paragraph_ratio": None,
    "max_repeated_paragraph_char_ratio": None,
    "max_repeated_line_ratio": None,
    "max_repeated_line_char_ratio": None,
    "max_top_ngram_char_ratio": {},
    "max_duplicate_ngram_char_ratio": {},
}


def judge(text, *tests):
    """The judgement of these tests alone, with their defaults."""
    return drop_of(GopherRepetitionConfig(words="whitespace", **{k: v for k, v in OFF.items() if k not in tests}), text)


def test_decides_as_datatrove_does_on_the_same_words():
    cases = datatrove_cases(VECTORS)
    for case in cases:
        reason = reason_on(GopherRepetitionConfig(), case)
        assert (reason and REASON_IN_DATATROVE[reason]) == case["reason"], case["text"]
    assert {case["reason"] for case in cases} == {None, *REASON_IN_DATATROVE.values()}


OTHERS = [f"other {n}" for n in range(69)]


@pytest.mark.parametrize(
    ("text", "test", "drop"),
    [
        ("", "", Drop("empty", 0, 1)),
        ("\n\n".join("abcdefgaaa"), "max_repeated_paragraph_ratio", None),  # exactly 0.3
        ("\n\n".join("abcdefaaa"), "max_repeated_paragraph_ratio", Drop("paragraph_repetition", 3 / 9, 0.3, "a")),
        ("\n\n".join(["a"] * 31 + OTHERS[:69]), "max_repeated_paragraph_ratio", None),
        (
            "\n\n".join(["a"] * 32 + OTHERS[:68]),
            "max_repeated_paragraph_ratio",
            Drop("paragraph_repetition", 0.31, 0.3, "a"),
        ),
        (
            "\n a\n\nb\n\na \n",
            "max_repeated_paragraph_ratio",
            Drop("paragraph_repetition", 1 / 3, 0.3, "a"),
        ),  # stripped
        ("a\n\n\nb\n\n a", "max_repeated_paragraph_ratio", None),  # but not between paragraphs
        ("abcd\n\nwxyzuvst\n\nabcd", "max_repeated_paragraph_char_ratio", None),  # 4 of 20
        (
            "abcd\n\nwxyzuvs\n\nabcd",
            "max_repeated_paragraph_char_ratio",
            Drop("paragraph_char_repetition", 4 / 19, 0.2, "abcd"),
        ),
        ("\n".join("abcdefgaaa"), "max_repeated_line_ratio", None),
        ("\n".join("abcdefaaa"), "max_repeated_line_ratio", Drop("line_repetition", 3 / 9, 0.3, "a")),
        ("\n".join(["a"] * 31 + OTHERS[:69]), "max_repeated_line_ratio", None),
        ("\n".join(["a"] * 32 + OTHERS[:68]), "max_repeated_line_ratio", Drop("line_repetition", 0.31, 0.3, "a")),
        ("\na\n", "max_repeated_line_ratio", Drop("line_repetition", 1 / 3, 0.3, "")),  # an empty line at both ends
        ("a\n\n\nb\n", "max_repeated_line_ratio", None),  # any number of line feeds is one cut
        ("abcd\nwxyzuvstuv\nabcd", "max_repeated_line_char_ratio", None),  # 4 of 20
        ("abcd\nwxyzuvstu\nabcd", "max_repeated_line_char_ratio", Drop("line_char_repetition", 4 / 19, 0.2, "abcd")),
        ("abcd\r\nx\r\nabcd\n", "max_repeated_line_char_ratio", None),  # "abcd\r" and "abcd" differ
    ],
)
def test_paragraphs_and_lines(text, test, drop):
    assert judge(text, test) == drop


@pytest.mark.parametrize(
    ("n", "threshold", "text", "drop"),
    [
        (2, 0.20, "ab cd " + "x" * 19, None),  # the first of two 2-grams, though the second is longer: 5 of 25
        (2, 0.20, "ab cd " + "x" * 18, Drop("top_2_gram", 5 / 24, 0.2, "ab cd")),
        (3, 0.18, "abc cd ef " + "x" * 40, None),  # 9 of 50
        (3, 0.18, "abc cd ef " + "x" * 39, Drop("top_3_gram", 9 / 49, 0.18, "abc cd ef")),
        (4, 0.16, "a b c de " + "x" * 41, None),  # 8 of 50
        (4, 0.16, "a b c de " + "x" * 40, Drop("top_4_gram", 8 / 49, 0.16, "a b c de")),
        (2, 0.20, "long words a b a b " + "x" * 11, None),  # the more frequent: 2 times 3 of 30
        (2, 0.20, "word", None),  # no 2-gram
        (2, 0.20, "ab\ncd\nef", Drop("top_2_gram", 5 / 8, 0.2, "ab cd")),  # short texts go
    ],
)
def test_the_most_frequent_ngram(n, threshold, text, drop):
    assert GopherRepetitionConfig().max_top_ngram_char_ratio[n] == threshold
    config = GopherRepetitionConfig(words="whitespace", **{**OFF, "max_top_ngram_char_ratio": {n: threshold}})
    assert drop_of(config, text) == drop


@pytest.mark.parametrize(
    ("n", "phrase", "threshold"),
    [
        (5, "abc def ghi jkl mno", 0.15),
        (6, "ab cd efg hij kl mn", 0.14),
        (7, "ab cd ef gh ij kl m", 0.13),
        (8, "ab cd ef gh i j k l", 0.12),
        (9, "ab cd e f g h i j k", 0.11),
        (10, "a b c d e f g h i j", 0.10),
    ],
)
def test_repeated_ngrams(n, phrase, threshold):
    assert GopherRepetitionConfig().max_duplicate_ngram_char_ratio[n] == threshold
    config = GopherRepetitionConfig(words="whitespace", **{**OFF, "max_duplicate_ngram_char_ratio": {n: threshold}})
    num_chars = len(phrase.replace(" ", ""))
    assert drop_of(config, f"{phrase} {'x' * 60} {phrase}") is None  # of 100 characters: exactly the threshold
    dropped = drop_of(config, f"{phrase} {'x' * 59} {phrase}")
    assert dropped == Drop(f"duplicate_{n}_gram", num_chars / 99, threshold, phrase)


def test_the_words_of_a_repeated_ngram_count_once():
    found = metrics_of(GopherRepetitionConfig(words="whitespace"), "a " * 20)
    # after the first 5-gram, 15 words are three more, one behind the other; the last 10-gram but one repeats the first
    assert (found["duplicate_5_gram_char_ratio"], found["duplicate_10_gram_char_ratio"]) == (15 / 40, 10 / 40)


def test_words_of_repeated_ngrams_are_joined_by_nothing():
    config = GopherRepetitionConfig(words="whitespace", **{**OFF, "max_duplicate_ngram_char_ratio": {2: 0.2}})
    assert drop_of(config, "ab c a bc") == Drop("duplicate_2_gram", 3 / 9, 0.2, "a bc")


def test_thresholds_by_n_are_chosen_freely():
    config = GopherRepetitionConfig(**{**OFF, "max_top_ngram_char_ratio": {1: 0.5}})
    assert config.make_rule({}).metrics[-1] == "top_1_gram_char_ratio"
    assert drop_of(config, "so so so be it") is None  # 6 of 14
    assert drop_of(config, "so so so be") == Drop("top_1_gram", 6 / 11, 0.5, "so")
    assert config.identity()["max_top_ngram_char_ratio"] == {"1": 0.5}


def test_a_text_without_words_is_judged():
    found = metrics_of(GopherRepetitionConfig(), " \n\n ")
    assert found["num_chars"] == 4
    assert {value for name, value in found.items() if "gram" in name} == {0}


WORDS = st.lists(st.sampled_from(["a", "b", "ab", "ba", "c", "é", "abcab", "abcabcabcabcabcabc"]), max_size=60)


@given(WORDS, st.sampled_from(["\n", " ", "\n\n"]))
def test_shares_are_those_of_a_plain_count(tokens, separator):
    text = separator.join(tokens)
    found = metrics_of(GopherRepetitionConfig(words="whitespace"), text)
    for n in (2, 3, 4):
        counts = Counter(" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
        expected = max(counts.values()) if counts else 0
        first = next((ngram for ngram, count in counts.items() if count == expected), "")
        assert found[f"top_{n}_gram_char_ratio"] * len(text) == pytest.approx(expected * len(first))
    for n in (5, 6, 7, 8, 9, 10):
        seen, chars, index = set(), 0, 0
        while index <= len(tokens) - n:
            ngram = "".join(tokens[index : index + n])
            is_repeated = ngram in seen
            seen.add(ngram)
            chars += len(ngram) * is_repeated
            index += n if is_repeated else 1
        assert found[f"duplicate_{n}_gram_char_ratio"] * len(text) == pytest.approx(chars)
