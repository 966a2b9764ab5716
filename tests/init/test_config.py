"""What the recipe may say about init, and what it is told where it is wrong."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from pretrain.dag import node, stages_of
from pretrain.init.architecture import ArchitectureConfig
from pretrain.init.config import InitConfig
from pretrain.recipe import parse_recipe
from tests.init.tiny_models import ARCHITECTURE
from tests.tiny import tiny_values


def test_defaults_and_round_trip():
    config = InitConfig.model_validate(
        {"architecture": ARCHITECTURE, "operations": [{"op": "upscale_depth", "overlap": 2}]}
    )
    assert (config.dtype, config.from_) == ("float32", None)
    assert InitConfig.model_validate(config.model_dump(mode="json", by_alias=True)) == config


def test_identity_holds_every_key_but_the_location():
    identity = InitConfig.model_validate(
        {"from": "checkpoints/a", "operations": [{"op": "drop_layers", "num_layers": 2}]}
    ).identity()
    assert identity == {
        "architecture": None,
        "revision": None,
        "operations": [{"op": "drop_layers", "layers": None, "num_layers": 2, "strategy": None, "num_sequences": None}],
        "dtype": "float32",
        "validation_sequences": 0,
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hidden_size": 30}, "hidden_size 30 is not divisible by num_attention_heads 4"),
        ({"num_key_value_heads": 3}, "num_attention_heads 4 is not divisible by num_key_value_heads 3"),
        ({"hidden_size": 12}, "is 3; rotary embeddings need an even number"),
        ({"hidden_size": 0}, "greater than or equal to 1"),
        ({"vocab_size": 1000}, "Extra inputs are not permitted"),
        ({"initializer_range": 0}, "greater than 0"),
        ({"rope_theta": float("inf")}, "finite number"),
    ],
)
def test_a_wrong_architecture_is_refused(changed, message):
    with pytest.raises(ValidationError, match=message):
        ArchitectureConfig.model_validate({**ARCHITECTURE, **changed})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "exactly one of `architecture`"),
        ({"architecture": ARCHITECTURE, "from": "there"}, "exactly one of `architecture`"),
        ({"architecture": ARCHITECTURE, "dtype": "float16"}, "'float32' or 'bfloat16'"),
    ],
)
def test_a_wrong_start_is_refused(config, message):
    with pytest.raises(ValidationError, match=message):
        InitConfig.model_validate(config)


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        (
            [{"op": "prune"}],
            "'prune' found using 'op' does not match any of the expected tags: 'random', 'drop_layers', 'upscale",
        ),
        (
            [{"op": "drop_layers", "layers": [8]}],
            "operations.0: .*layers has 8, but the model has layers 0 to 7",
        ),
        ([{"op": "drop_layers", "layers": [-1]}], "greater than or equal to 0"),
        ([{"op": "drop_layers", "layers": [1, 1]}], "names a layer twice"),
        ([{"op": "drop_layers", "layers": list(range(8))}], "all 8 layers; keep at least one"),
        (
            [{"op": "drop_layers", "num_layers": 8}],
            "num_layers is 8, but the model has 8 layers: drop 1 to 7",
        ),
        ([{"op": "drop_layers", "num_layers": 2, "strategy": "best"}], "'uniform' or 'block_influence'"),
        ([{"op": "drop_layers", "layers": [1], "strategy": "last"}], "'last' goes with `num_layers`"),
        ([{"op": "drop_layers"}], "exactly one of `layers`"),
        ([{"op": "drop_layers", "layers": [1], "num_layers": 1}], "exactly one of `layers`"),
        ([{"op": "upscale_depth", "overlap": 8}], "overlap is 8, but the model has 8 layers: give 0 to 7"),
        ([{"op": "upscale_depth", "overlap": -1}], "greater than or equal to 0"),
        ([{"op": "expand_blocks", "num_groups": 3}], "num_groups is 3, which does not divide the model's 8 layers"),
        ([{"op": "drop_layers", "num_layers": 8, "strategy": "block_influence"}], "is 8, but the model has 8 layers"),
        ([{"op": "drop_layers", "num_layers": 2, "num_sequences": 4}], "num_sequences goes with strategy"),
        ([{"op": "untie"}], "operations.0: untie: the embeddings are not tied"),
        ([{"op": "tie"}, {"op": "tie"}], "operations.1: tie: the embeddings are tied already"),
        ([{"op": "resize_vocab"}], r"operations.0: resize_vocab needs a checkpoint \(`from`\)"),
        ([{"op": "cast", "dtype": "float16"}], "'float32' or 'bfloat16'"),
        ([{"op": "random", "scheme": "xavier"}], "'hf' or 'scaled'"),
        (  # each operation is checked against the layers that those before it leave
            [{"op": "drop_layers", "num_layers": 6}, {"op": "upscale_depth", "overlap": 2}],
            "operations.1: .*the model has 2 layers",
        ),
    ],
)
def test_a_wrong_operation_is_refused(operations, message):
    with pytest.raises(ValidationError, match=message):
        InitConfig.model_validate({"architecture": ARCHITECTURE, "operations": operations})


def test_reading_the_config_imports_no_heavy_library():
    code = (
        "import sys, pretrain.init.config, pretrain.init.inputs;"
        "print(sorted({'torch', 'transformers', 'safetensors', 'numpy'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("changed", "inputs"),
    [
        ({}, {"tokenizer": "tokenizer"}),
        ({"validation_sequences": 8}, {"tokenizer": "tokenizer", "pack": "pack"}),
        ({"operations": [{"op": "drop_layers", "num_layers": 1}]}, {"tokenizer": "tokenizer"}),
        (
            {"operations": [{"op": "drop_layers", "num_layers": 1, "strategy": "block_influence"}]},
            {"tokenizer": "tokenizer", "pack": "pack"},
        ),
    ],
)
def test_pack_is_an_input_only_where_something_is_measured(changed, inputs):
    recipe = parse_recipe(tiny_values(init=changed))
    assert node("init").inputs(recipe) == inputs
    assert ("pack" in stages_of(recipe, until="init")) == ("pack" in inputs)
