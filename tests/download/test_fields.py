import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.download.fields import find_field, put_field, take_field, unique_names


@pytest.mark.parametrize(
    ("fields", "key", "value", "left"),
    [
        ({"a": 1, "b": 2}, "a", 1, {"b": 2}),
        ({"a": {"b": 1, "c": 2}}, "a.b", 1, {"a": {"c": 2}}),
        ({"a": {"b": {"c": 1}}, "d": 0}, "a.b.c", 1, {"d": 0}),
        ({"a.b": 1, "a": {"b": 2}}, "a.b", 1, {"a": {"b": 2}}),
        ({"a": {"b.c": 1}}, "a.b.c", 1, {}),
        ({"a": {"b": 1}}, "a.c", None, {"a": {"b": 1}}),
        ({"a": {}}, "a.c", None, {"a": {}}),
        ({"a": [1]}, "a.0", None, {"a": [1]}),
        ({"": 1}, "", 1, {}),
        ({"a": {"": 1}}, "a.", 1, {}),
        ({}, "a.b", None, {}),
    ],
)
def test_a_key_is_a_name_or_else_a_path(fields, key, value, left):
    given_fields = {**fields}
    assert find_field(given_fields, key) == value
    assert take_field(given_fields, key) == value
    assert given_fields == left


def test_taking_a_nested_field_leaves_the_record_that_was_read_as_it_is():
    inner = {"text": "t", "n": 1}
    take_field({"content": inner}, "content.text")
    assert inner == {"text": "t", "n": 1}


def test_a_field_of_our_own_keeps_the_record_s_beside_it():
    fields = {"license": "MIT"}
    put_field(fields, "license", "CC0-1.0")
    assert fields == {"license_field": "MIT", "license": "CC0-1.0"}
    put_field(fields, "license", "GPL")
    assert fields == {"license_field_field": "MIT", "license_field": "CC0-1.0", "license": "GPL"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "a", "a"], ["a", "a#2", "a#3"]),
        (["a", "a", "a#2"], ["a", "a#3", "a#2"]),
        (["a#2", "a", "a"], ["a#2", "a", "a#3"]),
        (["", ""], ["", "#2"]),
    ],
)
def test_repeated_column_names_are_numbered(names, expected):
    assert unique_names(names) == expected


@given(st.lists(st.sampled_from(["a", "a#2", "a#3", "a#2#2", "b"]), max_size=12))
def test_numbered_names_are_unique(names):
    assert len(set(unique_names(names))) == len(names)
