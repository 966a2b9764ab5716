"""Sizes by name: parameters of the models that they are the shapes of, with the vocabularies of those."""

import pytest
from pydantic import ValidationError

from pretrain.init.config import InitConfig
from pretrain.init.sizes import SIZE_NAMES
from pretrain.init.start import TokenIds, architecture_config
from pretrain.modeling.parameters import parameters_by_kind
from pretrain.modeling.shape import ModelShape

# As published with each model: the hub's safetensors metadata, llama2.c's README, the course.
PUBLISHED = {
    "1M": (2_048, 1_049_728),
    "5M": (4_096, 5_180_672),
    "15M": (32_000, 15_191_712),
    "42M": (32_000, 41_689_600),
    "124M": (50_257, 123_551_232),
    "135M": (49_152, 134_515_008),
    "248M": (32_000, 248_013_824),
    "360M": (49_152, 361_821_120),
    "1B": (128_256, 1_235_814_400),
    "1.1B": (32_000, 1_100_048_384),
    "1.7B": (49_152, 1_711_376_384),
    "3B": (128_256, 3_212_749_824),
    "7B": (32_000, 6_738_415_616),
    "8B": (128_256, 8_030_261_248),
}


def architecture(value):
    return InitConfig.model_validate({"architecture": value}).architecture


@pytest.mark.parametrize("name", SIZE_NAMES)
def test_parameters(name):
    vocab_size, parameters = PUBLISHED[name]
    config = architecture_config(architecture(name), TokenIds(vocab_size, None, None, None))
    assert sum(parameters_by_kind(ModelShape.from_config(config)).values()) == parameters


def test_a_key_beside_the_size_takes_the_place_of_its_own():
    assert architecture({"size": "124M", "num_hidden_layers": 6}).num_hidden_layers == 6
    assert architecture({"size": "124M"}) == architecture("124M")


def test_a_size_and_its_keys_written_out_are_one_recipe():
    named = InitConfig.model_validate({"architecture": "15M"})
    keys = named.architecture.model_dump(exclude={"size"})
    assert InitConfig.model_validate({"architecture": keys}).identity() == named.identity()
    assert InitConfig.model_validate(named.model_dump(mode="json", by_alias=True)) == named


def test_an_unknown_size_is_refused_with_those_there_are():
    with pytest.raises(ValidationError, match=r"no size '125M'; there are 1M, .*8B"):
        architecture("125M")
