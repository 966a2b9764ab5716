import pickle

import pytest
from pydantic import ValidationError

from pretrain.errors import RuleError, StageError
from pretrain.filter.rules.regex import RegexConfig
from tests.filter.judging import Drop, drop_of, judgement_of, metrics_of, rewritten


@pytest.mark.parametrize(
    ("text", "config", "drop"),
    [
        ("lorem ipsum", {"pattern": "lorem"}, Drop("regex_match", 1, 0, "lorem")),
        ("Lorem ipsum", {"pattern": "lorem"}, None),
        ("Lorem ipsum", {"pattern": "(?i)lorem"}, Drop("regex_match", 1, 0, "Lorem")),
        ("aXbXc", {"pattern": "X", "min_count": 3}, None),
        ("aXbXc", {"pattern": "X", "min_count": 2}, Drop("regex_match", 2, 1, "X")),
        ("aXbXc", {"pattern": "X", "min_count": 1}, Drop("regex_match", 2, 0, "X")),
        ("aXbXc", {"pattern": ["Y", "X", "a"]}, Drop("regex_match", 2, 0, "X")),  # the one with the most
        ("aaaa", {"pattern": "aa", "min_count": 3}, None),  # matches do not overlap
        ("", {"pattern": "a"}, None),
        ("has licence", {"pattern": "licen[cs]e", "match": "none"}, None),
        ("has nothing", {"pattern": "licen[cs]e", "match": "none"}, Drop("regex_no_match", 0, 1)),
        ("one X", {"pattern": ["X", "Y"], "match": "none"}, None),
        ("one X", {"pattern": "X", "match": "none", "min_count": 2}, Drop("regex_no_match", 1, 2, "X")),
        ("lorem", {"pattern": "lorem", "reason": "lorem_ipsum"}, Drop("lorem_ipsum", 1, 0, "lorem")),
        ("a" * 200, {"pattern": "a+"}, Drop("regex_match", 1, 0, "a" * 79 + "…")),
    ],
)
def test_dropping(text, config, drop):
    assert drop_of(RegexConfig(**config), text) == drop


@pytest.mark.parametrize(
    ("text", "config", "expected", "counts"),
    [
        ("see [1] and [23]", {"pattern": r" \[\d+\]", "replace": ""}, "see and", {"regex_replaced": 2}),
        ("tel:12", {"pattern": r"tel:(\d)", "replace": r"<\1>"}, "<1>2", {"regex_replaced": 1}),
        ("aXb", {"pattern": "X", "replace": "", "min_count": 2}, "aXb", {}),
        ("aXbX", {"pattern": "X", "replace": "", "min_count": 2}, "ab", {"regex_replaced": 2}),
        ("aXb", {"pattern": "X", "replace": "X"}, "aXb", {}),  # no change
        ("ab", {"pattern": ["a", "b"], "replace": "b", "reason": "a_to_b"}, "bb", {"a_to_b": 1}),
    ],
)
def test_rewriting(text, config, expected, counts):
    assert rewritten(RegexConfig(**config), text) == (expected, counts)


def test_each_pattern_goes_on_with_what_the_one_before_made():
    config = RegexConfig(pattern=("a", "b"), replace="c")
    assert [rewrite.text for rewrite in judgement_of(config, "ab").rewrites] == ["cb", "cc"]
    assert [rewrite.evidence for rewrite in judgement_of(config, "ab").rewrites] == ["a", "b"]


def test_metrics():
    assert metrics_of(RegexConfig(pattern="b", min_count=9), "abba") == {"num_matches": 2}
    assert metrics_of(RegexConfig(pattern="b", replace=""), "abba") == {}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"pattern": "(unclosed"}, r"pattern '\(unclosed' or its replace is not valid: missing \)"),
        ({"pattern": "[z-a]"}, "bad character range"),
        ({"pattern": "a", "replace": r"\1"}, "invalid group reference 1"),
        ({"pattern": "a", "replace": "", "match": "none"}, "there is nothing to replace"),
        ({"pattern": []}, "at least 1 item"),
        ({"pattern": "a", "min_count": 0}, "greater than or equal to 1"),
        ({"pattern": "a", "reason": "Not Snake"}, "String should match pattern"),
    ],
)
def test_a_wrong_pattern_is_refused_with_the_recipe(config, message):
    with pytest.raises(ValidationError, match=message):
        RegexConfig(**config)


ENDLESS = {"pattern": "(a|aa)+$", "timeout_seconds": 0.2}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("more", [{}, {"replace": ""}])
def test_a_pattern_that_never_ends_is_an_error_that_names_it_and_the_document(more):
    with pytest.raises(RuleError, match=r"took longer than 0.2 s on document 0{32}: \(a\|aa\)\+\$; ") as caught:
        drop_of(RegexConfig(**ENDLESS, **more), "a" * 5000 + "b")
    assert isinstance(caught.value, StageError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("more", [{}, {"replace": ""}])
def test_a_pattern_that_never_ends_may_drop_the_document_instead(more):
    drop = drop_of(RegexConfig(**ENDLESS, on_timeout="drop", **more), "a" * 5000 + "b")
    assert drop == Drop("regex_timeout", None, 0.2)
