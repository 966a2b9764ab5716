import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.errors import RecipeError
from pretrain.recipe import parse_recipe
from pretrain.train.config import TrainConfig
from pretrain.train.horizon import horizon


def length_of(sequence_length=32, **values):
    return horizon(TrainConfig(**{"warmup_steps": 0, "per_device_batch_size": 4, **values}), sequence_length)


def test_steps_and_accumulation_give_the_tokens():
    found = length_of(max_steps=10, gradient_accumulation_steps=3)
    assert (found.steps, found.global_batch_size, found.tokens_per_step, found.tokens) == (10, 12, 384, 3840)


def test_tokens_give_the_steps_and_the_accumulation():
    found = length_of(tokens=3840, global_batch_tokens=384)
    assert (found.steps, found.global_batch_size, found.accumulation_steps()) == (10, 12, 3)


@given(
    batch=st.integers(1, 64),
    accumulation=st.integers(1, 32),
    sequence_length=st.integers(2, 4096),
    steps=st.integers(1, 10**6),
)
def test_both_ways_to_say_it_are_the_same_training(batch, accumulation, sequence_length, steps):
    fixed = {"per_device_batch_size": batch, "warmup_steps": 0}
    one = TrainConfig(max_steps=steps, gradient_accumulation_steps=accumulation, **fixed)
    step_tokens = batch * accumulation * sequence_length
    other = TrainConfig(tokens=steps * step_tokens, global_batch_tokens=step_tokens, **fixed)
    assert horizon(one, sequence_length) == horizon(other, sequence_length)
    assert horizon(other, sequence_length).accumulation_steps() == accumulation


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"max_steps": 9, "global_batch_tokens": 500},
            r"train.global_batch_tokens is 500, no multiple of 128 \(train.per_device_batch_size \* "
            r"pack.sequence_length = 4 \* 32\): give 384 or 512",
        ),
        ({"max_steps": 9, "global_batch_tokens": 100}, "no multiple of 128 .*: give 128"),
        ({"tokens": 1000}, r"train.tokens is 1000, no multiple of 128 \(the tokens of one step\): give 896 or 1024"),
        ({"tokens": 1280, "warmup_steps": 11}, "train.warmup_steps = 11 do not fit into the 10 steps"),
        (
            {"max_steps": 10, "warmup_steps": 9, "schedule": "wsd"},
            "train.warmup_steps = 9 and a decay of 2 steps do not fit into the 10 steps",
        ),
    ],
)
def test_what_does_not_divide_is_refused_with_what_would(values, message):
    with pytest.raises(RecipeError, match=message):
        length_of(**values)


def test_processes_share_a_step_evenly_or_not_at_all():
    found = length_of(max_steps=1, gradient_accumulation_steps=6)
    assert [found.accumulation_steps(count) for count in (1, 2, 3, 6)] == [6, 3, 2, 1]
    with pytest.raises(RecipeError, match=r"24 sequences, which 4 processes of train.per_device_batch_size = 4 cannot"):
        found.accumulation_steps(4)


def test_a_recipe_is_refused_before_anything_runs():
    with pytest.raises(RecipeError, match=r"train.tokens is 1000, no multiple of 4096"):
        parse_recipe(
            {
                "name": "x",
                "download": {"sources": [{"name": "a", "uri": "a.jsonl", "license": "CC0-1.0"}]},
                "shard": {},
                "tokenizer": {"train": {"vocab_size": 300}},
                "pack": {"sequence_length": 256},
                "init": {"from": "somewhere"},
                "train": {"tokens": 1000, "warmup_steps": 0},
            }
        )
