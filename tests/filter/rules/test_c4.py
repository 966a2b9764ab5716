import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pretrain.filter.c4_lines import judge_line, judge_page, page_of
from pretrain.filter.rules.c4 import C4Config
from pretrain.filter.textview import TextView
from tests.filter.judging import Drop, datatrove_cases, drop_of, judgement_of, metrics_of, rewritten

# made by make_datatrove_vectors.py; the second without the test of end marks, as FineWeb uses C4
VECTORS = {
    "datatrove_c4.jsonl": C4Config(),
    "datatrove_c4_without_terminal_punctuation.jsonl": C4Config(require_end_mark=False),
}
FOLDER = Path(__file__).parent

KEEPS_LINES = C4Config(min_sentences=None)


@pytest.mark.slow  # spaCy imports torch
@pytest.mark.parametrize("name", VECTORS)
def test_decides_and_rewrites_as_datatrove_does(name):
    pytest.importorskip("spacy", reason="words: spacy needs the optional dependency")
    cases = datatrove_cases(FOLDER / name)
    for case in cases:
        judgement = judgement_of(VECTORS[name].model_copy(update={"words": "spacy"}), case["text"])
        assert (judgement.drop and judgement.drop.reason) == case["reason"], case["text"]
        assert judgement.drop or judgement.text == case["output"]
    assert {case["reason"] for case in cases} == {None, "lorem_ipsum", "curly_bracket", "too_few_sentences"}


@pytest.mark.parametrize("name", VECTORS)
def test_so_it_does_with_words_by_regex_but_for_abbreviations(name):
    for case in datatrove_cases(FOLDER / name):
        # "e.g." and "U.S." are one word to spaCy, and here two, of which the second ends a sentence
        if "e.g." not in case["text"] and "U.S." not in case["text"]:
            judgement = judgement_of(VECTORS[name], case["text"])
            assert (judgement.drop and judgement.drop.reason) == case["reason"], case["text"]
            assert judgement.drop or judgement.text == case["output"]


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("It has words.", "kept"),
        ('  He said "no!"  ', "kept"),
        ("It's the dogs'", "kept"),
        ("", "blank"),
        ("  \t", "blank"),
        ("a menu of words", "no_end_mark"),
        ("And so on...", "no_end_mark"),
        ("And so on…", "no_end_mark"),
        ("It is so。", "no_end_mark"),  # the ASCII marks alone
        ("Two words.", "few_words"),
        ("Look [1] here.", "kept"),  # words are counted before the citation goes
        ("It ends here. [1]", "no_end_mark"),  # "It ends here. "
        ("It ends here.[1][edit][]", "kept"),
        ("It ends here.[12a]", "no_end_mark"),
        (f"It was {'a' * 997}!!!", "kept"),  # 1,000 characters
        (f"It was {'a' * 998}!!!", "long_word"),
        ("Please enable JavaScript now.", "javascript"),
        ("Enable java[1]script right now.", "javascript"),
        ("We have a Privacy Policy.", "policy"),
        ("This site uses cookies.", "policy"),
        ("We like baking cookies.", "kept"),
        ("We use coo\u212aies here.", "policy"),  # the Kelvin sign in lower case is a k
        ("Lorem Ipsum dolor sit.", "lorem_ipsum"),
        ("It is a {.", "curly_bracket"),
        ("JavaScript has a {.", "javascript"),
        ("Our privacy policy: {.", "curly_bracket"),
        ("lorem ipsum javascript.", "lorem_ipsum"),
        ("lorem ipsum", "no_end_mark"),
    ],
)
def test_lines(line, outcome):
    assert judge_line(line, C4Config()).outcome == outcome
    assert judge_page(TextView(f"\n{line}\r\n"), C4Config()).counts == Counter(["blank", outcome])


@pytest.mark.parametrize(
    ("line", "switch"),
    [
        ("a menu of words", "require_end_mark"),
        ("Please enable JavaScript now.", "remove_javascript_lines"),
        ("We have a Privacy Policy.", "remove_policy_lines"),
        ("Lorem ipsum dolor sit.", "drop_lorem_ipsum"),
        ("It is a {.", "drop_curly_brackets"),
    ],
)
def test_every_switch(line, switch):
    assert judge_line(line, C4Config()).outcome != "kept"
    assert judge_line(line, C4Config(**{switch: False})).outcome == "kept"
    assert judge_page(TextView(line), C4Config(**{switch: False})).kept == [line]


def test_citations_may_stay():
    assert judge_line("Look [1] here.", C4Config(remove_citations=False)).text == "Look [1] here."
    assert judge_line("Look [1] here.", C4Config()).text == "Look  here."


FIVE = "It has words. It has more.\nIt has words! Has it more?\nIt has words."


def test_what_stays_goes_on_with_one_change_in_the_ledger():
    text = f"menu\n\n {FIVE} \r\nprivacy policy\nWe use cookies here.\n"
    judgement = judgement_of(C4Config(), text)
    assert judgement.text == FIVE
    (rewrite,) = judgement.rewrites
    assert (rewrite.reason, rewrite.value, rewrite.evidence) == ("lines_removed", 3, "menu")
    assert metrics_of(C4Config(), text) == {
        "num_lines": 7,
        "num_lines_removed_long_word": 0,
        "num_lines_removed_no_end_mark": 2,
        "num_lines_removed_few_words": 0,
        "num_lines_removed_javascript": 0,
        "num_lines_removed_policy": 1,
        "num_lines_removed_blank": 1,
        "num_lorem_ipsum_lines": 0,
        "num_curly_bracket_lines": 0,
        "num_sentences": 5,
        "num_lines_kept": 3,
    }


def test_a_text_that_stays_whole_is_not_changed():
    assert judgement_of(C4Config(), FIVE).rewrites == ()
    assert rewritten(C4Config(), FIVE + "\n") == (FIVE, {"lines_removed": 0})


@pytest.mark.parametrize(
    ("config", "text", "drop"),
    [
        (C4Config(), FIVE, None),  # exactly 5
        (C4Config(), FIVE.replace(" Has it more?", ""), Drop("too_few_sentences", 4, 5)),
        (C4Config(), "", Drop("too_few_sentences", 0, 5)),
        (C4Config(variant="tfds"), "One of the long lines.\n" * 3, None),  # 5 words and 3 sentences
        (C4Config(variant="tfds"), "One of the long lines.\n" * 2, Drop("too_few_sentences", 2, 3)),
        (C4Config(variant="tfds"), "One of the lines.\n" * 3, Drop("too_few_sentences", 0, 3)),
        (C4Config(variant="tfds", min_words_per_line=4), "One of the lines.\n" * 3, None),
        (KEEPS_LINES, "menu", Drop("no_lines_left", 0, 1)),
        (C4Config(), "lorem ipsum is here.\na { is here.", Drop("lorem_ipsum", 1, 0, "lorem ipsum is here.")),
        (C4Config(), "a { is here.\nlorem ipsum is here.", Drop("curly_bracket", 1, 0, "a { is here.")),
        (C4Config(), "{ lorem ipsum\n" + FIVE, None),  # on lines that go before
        (C4Config(min_paragraph_chars=13), FIVE, None),
        (C4Config(min_paragraph_chars=14), FIVE, Drop("too_few_long_paragraphs", 13, 14)),
        (
            C4Config(min_paragraph_chars=1, min_sentences=1),
            "It has words.\n" * 2,
            Drop("too_few_long_paragraphs", 0, 1),
        ),
    ],
)
def test_pages(config, text, drop):
    assert drop_of(config, text) == drop


def test_bad_words_come_from_a_file(tmp_path):
    (tmp_path / "list").write_text("# two\nbad\nvery bad\n")
    files = {"bad_words": tmp_path / "list"}
    config = C4Config(min_sentences=None, bad_words="list")
    assert drop_of(config, "It is Very bad.", files) == Drop("bad_word", 1, 0, "very bad.")
    assert drop_of(config, "It is a badge.", files) is None
    within = config.model_copy(update={"bad_words_within_words": True})
    assert drop_of(within, "It is a badge.", files) == Drop("bad_word", 1, 0, "bad")


def test_sentences_may_be_removed_instead_of_lines():
    text = "It has words. We use\ncookies here. It has more! Menu. And so it\nends."
    config = C4Config(unit="sentence", min_sentences=3)
    assert rewritten(config, text)[0] == "It has words. We use\ncookies here. It has more! And so it\nends."
    assert drop_of(config.model_copy(update={"min_sentences": 5}), text) == Drop("too_few_sentences", 4, 5)


def test_a_variant_gives_two_numbers():
    paper, tfds = C4Config(), C4Config(variant="tfds")
    assert (paper.variant, paper.min_words_per_line, paper.min_sentences) == ("paper", 3, 5)
    assert (tfds.min_words_per_line, tfds.min_sentences) == (5, 3)
    assert C4Config(variant="tfds", min_sentences=None).min_sentences is None
    with pytest.raises(ValidationError, match="'paper' or 'tfds'"):
        C4Config(variant="c4")


LINES = st.lists(
    st.sampled_from(
        [
            *(
                "It has words",
                "a b",
                ".",
                "...",
                "?!",
                '"',
                " ",
                "  ",
                "\n",
                "\r\n",
                "\u2028",
                "[1]",
                "[edit",
                "]",
                "{",
            ),
            *(
                "java",
                "script",
                "Lorem ipsum",
                "use coo\u212aies",
                "terms of use",
                "\u0130",
                "e.g.",
                "$5",
                "。",
                "x" * 9,
            ),
        ]
    ),
    max_size=30,
).map("".join)


@given(
    LINES,
    st.builds(
        C4Config,
        variant=st.sampled_from(["paper", "tfds"]),
        require_end_mark=st.booleans(),
        remove_citations=st.booleans(),
        min_words_per_line=st.sampled_from([None, 1, 3]),
        max_word_chars=st.sampled_from([None, 8, 1000]),
        min_sentences=st.sampled_from([None, 2]),
        drop_lorem_ipsum=st.booleans(),
        remove_javascript_lines=st.booleans(),
        drop_curly_brackets=st.booleans(),
        remove_policy_lines=st.booleans(),
    ),
)
def test_the_compiled_loop_agrees_with_the_definition(text, config):
    expected = page_of(judge_line(line, config) for line in text.splitlines())
    page = judge_page(TextView(text), config)
    assert page == expected
    assert list(page.firsts) == list(expected.firsts)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("unit", "max_bytes_a_line"), [("\n", 0), ("\r\n", 0), ("a\n", 80)])
def test_of_a_page_of_very_many_lines_no_objects_are_made(unit, max_bytes_a_line):
    num_lines = 300_000
    view = TextView(unit * num_lines)
    view.codes, view.words("regex")  # what all rules share
    tracemalloc.start()
    try:
        page = judge_page(view, C4Config())
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert page.counts.total() == num_lines
    assert peak_bytes < num_lines * max_bytes_a_line + 2 * len(view.text) + 100_000
