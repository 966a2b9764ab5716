import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.filter.substrings import Substrings


@pytest.mark.parametrize(
    ("strings", "text", "first"),
    [
        ([], "abc", None),
        (["b"], "abc", "b"),
        (["abcd"], "abc", None),
        (["abcd"], "abcd", "abcd"),
        (["bcdef", "cd"], "abcdef", "bcdef"),  # the first place
        (["bcdef", "bcd", "bc"], "abcdef", "bc"),  # the shortest there
        (["bcdefgh", "bcde"], "abcdefgh", "bcde"),
        (["x"], "", None),
    ],
)
def test_first(strings, text, first):
    assert Substrings(strings).first(text) == first


@given(st.lists(st.text("ab", min_size=1, max_size=7)), st.text("ab", max_size=12))
def test_finds_what_a_search_for_each_string_finds(strings, text):
    found = Substrings(strings).first(text)
    expected = min(((text.find(s), len(s), s) for s in strings if s in text), default=None)
    assert found == (expected and expected[2])
