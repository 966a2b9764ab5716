"""The identity of an artifact: what counts and what does not."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.fingerprint import canonical_json, fingerprint

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_a_fingerprint_is_the_same_on_every_machine_and_in_every_release() -> None:
    inputs = [{"stage": "download", "fingerprint": "0" * 32}]
    assert fingerprint("filter", 1, {"rules": ["course"]}, inputs) == "b34ec0f16daee26512bcbb8f46fda60c"


@pytest.mark.parametrize(
    ("stage", "version", "config", "inputs"),
    [
        ("dedup", 1, {"a": 1}, []),
        ("filter", 2, {"a": 1}, []),
        ("filter", 1, {"a": 2}, []),
        ("filter", 1, {"a": 1.5}, []),
        ("filter", 1, {"a": 1}, [{"stage": "download", "fingerprint": "x"}]),
    ],
)
def test_stage_version_config_and_inputs_count(
    stage: str, version: int, config: dict[str, object], inputs: list[dict[str, str]]
) -> None:
    assert fingerprint(stage, version, config, inputs) != fingerprint("filter", 1, {"a": 1}, [])


def test_the_order_of_keys_does_not_count_and_the_order_of_inputs_does() -> None:
    assert fingerprint("f", 1, {"a": 1, "b": 2}, []) == fingerprint("f", 1, {"b": 2, "a": 1}, [])
    first, second = {"stage": "a", "fingerprint": "1"}, {"stage": "b", "fingerprint": "2"}
    assert fingerprint("f", 1, {}, [first, second]) != fingerprint("f", 1, {}, [second, first])


@given(JSON)
def test_canonical_json_is_a_function_of_the_value(value: object) -> None:
    assert canonical_json(value) == canonical_json(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, {1: "a"}, {"a": object()}, {"a", "b"}])
def test_what_cannot_be_hashed_stably_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)
