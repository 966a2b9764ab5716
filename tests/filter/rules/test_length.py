import pytest
from pydantic import ValidationError

from pretrain.filter.rules.length import LengthConfig
from tests.filter.judging import Drop, drop_of, judgement_of, metrics_of

TEXT = "Déjà vu!\nTwice, and\n"  # 20 characters, 22 bytes, 2 lines; words: Déjà vu ! Twice , and


@pytest.mark.parametrize(
    ("limits", "drop"),
    [
        ({"min_chars": 20}, None),
        ({"min_chars": 21}, Drop("too_few_chars", 20, 21)),
        ({"max_chars": 20}, None),
        ({"max_chars": 19}, Drop("too_many_chars", 20, 19)),
        ({"min_bytes": 22}, None),
        ({"min_bytes": 23}, Drop("too_few_bytes", 22, 23)),
        ({"max_bytes": 22}, None),
        ({"max_bytes": 21}, Drop("too_many_bytes", 22, 21)),
        ({"min_lines": 2}, None),
        ({"min_lines": 3}, Drop("too_few_lines", 2, 3)),
        ({"max_lines": 2}, None),
        ({"max_lines": 1}, Drop("too_many_lines", 2, 1)),
        ({"min_words": 6}, None),
        ({"min_words": 7}, Drop("too_few_words", 6, 7)),
        ({"max_words": 6}, None),
        ({"max_words": 5}, Drop("too_many_words", 6, 5)),
        ({"max_words": 4, "words": "whitespace"}, None),
        ({"min_words": 5, "words": "whitespace"}, Drop("too_few_words", 4, 5)),
        ({"min_words": 9, "max_lines": 1, "max_bytes": 1}, Drop("too_many_bytes", 22, 1)),  # bytes before lines
    ],
)
def test_limits(limits, drop):
    assert drop_of(LengthConfig(**limits), TEXT) == drop


@pytest.mark.parametrize("unit", ["chars", "bytes", "lines", "words"])
def test_the_empty_text_has_no_length(unit):
    assert drop_of(LengthConfig(**{f"min_{unit}": 0}), "") is None
    assert drop_of(LengthConfig(**{f"min_{unit}": 1}), "") == Drop(f"too_few_{unit}", 0, 1)


def test_only_what_has_a_limit_is_measured():
    config = LengthConfig(min_chars=1, max_lines=9)
    assert config.make_rule({}).metrics == ("num_chars", "num_lines")
    assert metrics_of(config, TEXT) == {"num_chars": 20, "num_lines": 2}
    assert judgement_of(config, TEXT).failed == ()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({}, "has no limit, so it drops nothing: give one, such as min_chars"),
        ({"min_words": 3, "max_words": 2}, "min_words is 3 and max_words is 2, so nothing would stay"),
        ({"min_bytes": -1}, "greater than or equal to 0"),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits, message):
    with pytest.raises(ValidationError, match=message):
        LengthConfig(**limits)
