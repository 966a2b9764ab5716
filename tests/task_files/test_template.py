"""Prompts: keys of a row in braces, and no code."""

import pytest

from pretrain.task_files.template import TextKey, parse_template


def test_a_prompt_is_text_and_keys_in_order():
    assert parse_template("Q: {choices.text}\nA{{:}}") == ("Q: ", TextKey("choices.text"), "\nA{", ":}")
    assert parse_template("") == ()
    assert parse_template("{Best Answer}") == (TextKey("Best Answer"),)


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("{a|strip}", " x ", "x"),
        ("{a|capitalize}", "aN END", "An end"),
        ("{a|lower_first}", "The UN", "the UN"),
        ("{a|without_end_mark}", "It ran. ", "It ran"),
        ("{a|without_end_mark}", "It ran", "It ran"),
        ("{a | strip | lower_first}", " Two ", "two"),
        ("{a|lower_first}", "", ""),
    ],
)
def test_transforms(field, text, expected):
    [key] = parse_template(field)
    assert isinstance(key, TextKey)
    assert key.transformed(text) == expected


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{", "Single '{'"),
        ("a}", "Single '}'"),
        ("{}", "names no key"),
        ("{a!r}", "format or conversion"),
        ("{a:>10}", "format or conversion"),
        ("{a|upper}", "'upper' is no transform: .* strip, capitalize, lower_first, without_end_mark"),
    ],
)
def test_what_is_no_prompt_is_refused(template, message):
    with pytest.raises(ValueError, match=message):
        parse_template(template)


def test_a_field_reaches_no_attribute():
    assert parse_template("{q.__class__}") == (TextKey("q.__class__"),)  # a key of a mapping, which rows do not have
