import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pretrain.filter.characters import character_flags, code_points
from pretrain.filter.scanner import scan_words
from pretrain.filter.splitters import word_spans

# every character and run that the pattern names, beside their neighbours and strangers
PIECES = st.sampled_from(
    [*"aZ9_é'’sSdmtrevl.-–—,:<>=/~(\n \u00a0\x1c…²٣ⅷ中。🙂\u0301", "'s", "’re", "'ll", "...", "--", "a.B", "x-y", "1-2"]
)


def scanned(text):
    starts, ends = scan_words(code_points(text), character_flags())
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


@given(st.lists(PIECES, max_size=40).map("".join))
@example("a---b a--1 a-- b -a")
@example("'s's 's'sx don't'l 'll'lle ’ve're'rex")
@example("a.B A.B a.b a..B ..a a.")
@example("")
def test_words_are_cut_where_the_regular_expression_cuts(text):
    assert scanned(text) == word_spans(text)


@given(st.text())
def test_so_they_are_in_any_text(text):
    assert scanned(text) == word_spans(text)


@pytest.mark.parametrize("unit", ["-", "a-", "a'", "..", "(", "a.b", "’s", "\u2014", "é!", "x-("])
@pytest.mark.timeout(20)
def test_a_hostile_line_takes_linear_time(unit):
    text = "x" + unit * 300_000
    assert scanned(text) == word_spans(text)
