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


def test_the_global_batch_is_batch_times_accumulation():
    assert (
        TrainConfig(
            max_steps=1, warmup_steps=0, per_device_batch_size=8, gradient_accumulation_steps=3
        ).global_batch_size
        == 24
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_steps": 5}, "warmup_steps is 10, more than max_steps = 5"),
        ({"max_steps": 0}, "greater than 0"),
        ({"max_steps": 100, "schedule": "step"}, "'linear', 'cosine' or 'constant'"),
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
