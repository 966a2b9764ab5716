"""`pretrain plan` shows what follows from the recipe's numbers, and refuses what does not divide."""

import pytest

from pretrain.errors import RecipeError
from pretrain.planning import make_estimates, make_plan
from pretrain.spec import RunSpec
from tests.tiny import write_recipe


def estimate(folder, *overrides):
    recipe = write_recipe(folder)
    spec = RunSpec(recipe=str(recipe), store=str(folder / "store"), overrides=list(overrides))
    pipeline = spec.pipeline()
    found = make_estimates(pipeline, make_plan(pipeline))
    return {name: quantity.value for name, quantity in found["train"].items()}, found["init"]


def test_steps_and_accumulation_follow_from_tokens(tmp_path):
    # tests/tiny.py: 4 sequences of 32 tokens in one forward pass
    overrides = ("train.max_steps=null", "train.tokens=5120", "train.global_batch_tokens=512")
    found, of_init = estimate(tmp_path, *overrides)
    assert found == {"steps": 10, "tokens": 5120, "global_batch_tokens": 512, "gradient_accumulation_steps": 4}
    assert of_init["training_tokens"].value == 5120


def test_tokens_follow_from_steps(tmp_path):
    found, of_init = estimate(tmp_path, "train.gradient_accumulation_steps=3")
    assert found == {"steps": 12, "tokens": 4608, "global_batch_tokens": 384, "gradient_accumulation_steps": 3}
    assert of_init["training_tokens"].value == 4608


def test_what_does_not_divide_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"train.global_batch_tokens is 500, no multiple of 128"):
        estimate(tmp_path, "train.global_batch_tokens=500")
