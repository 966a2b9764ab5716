import subprocess
import sys

import pytest
from pydantic import ValidationError

from pretrain.train.config import TrainConfig


def test_how_often_work_is_secured_bears_on_no_result():
    identity = TrainConfig(max_steps=30).identity()
    assert identity == TrainConfig(max_steps=30, save_every_steps=7, keep_checkpoints=9).identity()
    assert identity != TrainConfig(max_steps=30, learning_rate=5e-4).identity()
    assert "save_every_steps" not in identity and identity["log_every_steps"] == 10


def test_ways_to_say_the_same_are_one_training():
    left_out, written = TrainConfig(max_steps=30), TrainConfig(max_steps=30, gradient_accumulation_steps=1)
    assert left_out.identity() == written.identity()
    assert left_out.identity()["gradient_accumulation_steps"] == 1


def test_the_step_that_a_spike_goes_back_to_bears_on_the_result():
    seven, nine = (TrainConfig(max_steps=30, spike_rollbacks=1, save_every_steps=steps) for steps in (7, 9))
    assert seven.identity() != nine.identity()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_steps": 5}, "warmup_steps is 10, more than max_steps = 5"),
        ({"max_steps": 0}, "greater than 0"),
        ({"max_steps": 100, "schedule": "step"}, "'linear', 'cosine', 'wsd' or 'constant'"),
        ({}, r"give max_steps or tokens, one of them \(neither is given\)"),
        ({"max_steps": 100, "tokens": 1000}, r"one of them \(both are given\)"),
        (
            {"max_steps": 100, "global_batch_tokens": 64, "gradient_accumulation_steps": 2},
            "gradient_accumulation_steps is 2, and would also follow from global_batch_tokens = 64",
        ),
        ({"max_steps": 100, "sample_every_steps": 5}, "sample_every_steps is 5, but there are no sample_prompts"),
        ({"max_steps": 100, "keep_best": True, "max_eval_sequences": 0}, "keep_best is true, but max_eval_sequences"),
        ({"max_steps": 100, "warmup_ratio": 0.1}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_value_is_refused_by_name(values, message):
    with pytest.raises(ValidationError, match=message):
        TrainConfig.model_validate(values)


def test_planning_imports_no_torch():
    unwanted = "{'torch', 'transformers', 'numpy', 'prefect'}"
    code = f"import sys, pretrain.train.config; print(sorted({unwanted} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
