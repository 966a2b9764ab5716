"""Parameter counts against the course's numbers and against transformers' own model."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pretrain.errors import InputError
from pretrain.modeling.parameters import parameters_by_kind, split_layer, tensor_kind, tensor_shapes
from pretrain.modeling.shape import ModelShape

COURSE = {
    "model_type": "llama",
    "vocab_size": 32_000,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 12,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
}


def real_model(config: dict) -> LlamaForCausalLM:
    with torch.device("meta"):
        return LlamaForCausalLM(LlamaConfig.from_dict(config))


@pytest.mark.parametrize(("num_layers", "parameters"), [(12, 248_013_824), (10, 217_601_024), (16, 308_839_424)])
def test_the_courses_model_sizes(num_layers, parameters):
    shape = ModelShape.from_config({**COURSE, "num_hidden_layers": num_layers})
    assert sum(parameters_by_kind(shape).values()) == parameters


def test_parameters_by_kind_of_the_courses_model():
    assert parameters_by_kind(ModelShape.from_config(COURSE)) == {
        "embedding": 32_000 * 1024,
        "attention": 12 * (2 * 1024 * 1024 + 2 * 1024 * 256),
        "mlp": 12 * 3 * 1024 * 4096,
        "norm": 12 * 2 * 1024 + 1024,
        "lm_head": 32_000 * 1024,
    }


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"tie_word_embeddings": True},
        {"attention_bias": True, "mlp_bias": True},
        {"head_dim": 48},
        {"num_key_value_heads": None},
    ],
)
def test_tensors_are_those_of_the_real_model(changed):
    config = {**COURSE, "vocab_size": 97, "num_hidden_layers": 2, **changed}
    shape, model = ModelShape.from_config(config), real_model(config)
    real = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert tensor_shapes(shape) == real
    assert sum(parameters_by_kind(shape).values()) == model.num_parameters()


def test_every_tensor_has_a_kind():
    kinds = {name: tensor_kind(name) for name in tensor_shapes(ModelShape.from_config({**COURSE, "mlp_bias": True}))}
    assert kinds["model.layers.3.self_attn.k_proj.weight"] == "attention"
    assert kinds["model.layers.3.mlp.down_proj.bias"] == "mlp"
    assert kinds["model.layers.3.post_attention_layernorm.weight"] == "norm"
    assert kinds["model.norm.weight"] == "norm"
    assert kinds["lm_head.weight"] == "lm_head"


def test_split_layer():
    assert split_layer("model.layers.11.mlp.up_proj.weight") == (11, "mlp.up_proj.weight")
    assert split_layer("model.norm.weight") == (None, "model.norm.weight")


def test_another_architecture_is_refused():
    with pytest.raises(InputError, match="model_type 'gpt2'"):
        ModelShape.from_config({**COURSE, "model_type": "gpt2"})


@pytest.mark.parametrize("value", [None, 0, -3, "12", 1.5, True])
def test_a_size_that_is_no_positive_integer_is_refused(value):
    with pytest.raises(InputError, match="hidden_size"):
        ModelShape.from_config({**COURSE, "hidden_size": value})
