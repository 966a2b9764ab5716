import pytest
from pydantic import ValidationError

from pretrain.eval.config import EvalConfig


def test_a_recipe_may_leave_everything_to_the_defaults():
    config = EvalConfig()
    assert config.tasks == ("continuation_choice", "bits_per_byte")
    assert config.baselines == ("init",)
    assert (config.num_fewshot, config.limit, config.batch_size, config.max_length) == (0, None, 16, None)


def test_lists_of_a_yaml_file_are_accepted_and_identity_is_json_able():
    config = EvalConfig.model_validate({"tasks": ["bits_per_byte"], "baselines": []})
    assert config.identity()["tasks"] == ["bits_per_byte"]
    assert config.identity()["continuation_choice"]["num_choices"] == 4


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tasks": []}, "at least 1 item"),
        ({"tasks": ["hellaswag"]}, "continuation_choice"),
        ({"tasks": ["bits_per_byte", "bits_per_byte"]}, "given twice"),
        ({"baselines": ["gpt2"]}, "init"),
        ({"continuation_choice": {"num_choices": 1}}, "greater than or equal to 2"),
        ({"tasks": ["bits_per_byte"], "num_fewshot": 2}, "no task of"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        EvalConfig.model_validate(values)
