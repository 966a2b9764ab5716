"""`pretrain plan` says what a model is and costs before anything runs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pretrain.cli.app import app
from pretrain.errors import RecipeError
from pretrain.modeling.hardware import parse_hardware
from pretrain.planning import make_estimates, make_plan
from pretrain.spec import RunSpec
from tests.init.tiny_models import byte_tokenizer, save_checkpoint
from tests.tiny import write_recipe


def estimates(recipe: Path, *overrides: str, hardware: str | None = None) -> dict[str, object]:
    spec = RunSpec(recipe=str(recipe), store=str(recipe.parent / "store"), overrides=list(overrides))
    pipeline = spec.pipeline()
    used = parse_hardware(hardware, 0.5) if hardware else None
    found = make_estimates(pipeline, make_plan(pipeline), used).get("init", {})
    return {name: quantity.value for name, quantity in found.items()}


LAYER = 2 * 32 * 32 + 2 * 16 * 32 + 3 * 32 * 64
PARAMETERS = 2 * (LAYER + 2 * 32) + 32 + 2 * 384 * 32
FLOPS = 6 * (2 * LAYER + 384 * 32) + 12 * 2 * 32 * 32
TOKENS = 12 * 4 * 32  # steps, sequences, tokens a sequence


def test_size_tokens_flops_and_hours_of_the_recipe(tmp_path):
    found = estimates(write_recipe(tmp_path), hardware="2xa100")
    assert found["parameters"] == PARAMETERS == found["tokens_for_20x"] // 20
    assert found["parameters"] == sum(value for name, value in found.items() if name.startswith("parameters."))
    assert (found["flops_per_token"], found["training_tokens"]) == (FLOPS, TOKENS)
    assert found["training_flops"] == FLOPS * TOKENS
    seconds = FLOPS * TOKENS / (2 * 312e12 * 0.5)
    assert found["training_time"] == float(f"{seconds:.4g}")
    assert "training_time" not in estimates(write_recipe(tmp_path))


@pytest.mark.parametrize("batch", ["train.gradient_accumulation_steps=3", "train.per_device_batch_size=12"])
def test_tokens_follow_from_the_batch(tmp_path, batch):
    assert estimates(write_recipe(tmp_path), batch)["training_tokens"] == 3 * TOKENS


def test_memory_is_the_sum_of_its_components(tmp_path):
    found = estimates(write_recipe(tmp_path))
    parts = {name.removeprefix("training_memory."): value for name, value in found.items() if "memory." in name}
    assert parts.pop("activations") > 0
    assert parts == {"weights": 4 * PARAMETERS, "gradients": 4 * PARAMETERS, "optimizer_states": 8 * PARAMETERS}


def test_operations_count(tmp_path):
    operations = 'init.operations=[{"op": "upscale_depth", "overlap": 0}]'
    assert estimates(write_recipe(tmp_path), operations)["parameters"] == PARAMETERS + 2 * (LAYER + 2 * 32)


SOLAR = {"num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32}


@pytest.mark.parametrize(
    ("architecture", "operation", "parameters"),
    [
        ("248M", None, 248_013_824),
        ("248M", {"op": "drop_layers", "num_layers": 2}, 217_601_024),  # the course's downscaled model
        ("248M", {"op": "upscale_depth", "overlap": 4}, 308_839_424),  # and the upscaled one
        ({**SOLAR, "num_key_value_heads": 8}, {"op": "upscale_depth", "overlap": 8}, 10_731_524_096),  # SOLAR 10.7B
    ],
)
def test_the_numbers_of_the_course_and_of_solar(tmp_path, architecture, operation, parameters):
    init = {"architecture": architecture, "operations": [operation] if operation else []}
    changes = (f"init={json.dumps(init)}", "tokenizer.train.vocab_size=32000")
    assert estimates(write_recipe(tmp_path), *changes)["parameters"] == parameters


def test_an_operation_that_does_not_fit_a_checkpoint_is_refused_before_anything_runs(tmp_path):
    save_checkpoint(tmp_path / "checkpoint")
    init = {"from": "checkpoint", "operations": [{"op": "drop_layers", "layers": [8]}]}
    with pytest.raises(RecipeError, match="the model has layers 0 to 7") as caught:
        estimates(write_recipe(tmp_path), f"init={json.dumps(init)}")
    assert caught.value.stage == "init"


def test_a_hub_model_is_not_fetched_to_be_estimated(tmp_path):
    init = {"from": "owner/name", "revision": 40 * "0"}
    assert estimates(write_recipe(tmp_path), f"init={json.dumps(init)}") == {}


def test_a_checkpoint_and_an_imported_tokenizer_are_looked_at_where_they_lie(tmp_path):
    byte_tokenizer().save_pretrained(tmp_path / "tokenizer")
    model = save_checkpoint(tmp_path / "checkpoint")
    changes = ('init={"from": "checkpoint"}', 'tokenizer={"import": "tokenizer"}')
    assert estimates(write_recipe(tmp_path), *changes)["parameters"] == model.num_parameters()


def test_the_command_prints_it(tmp_path):
    recipe = write_recipe(tmp_path)
    arguments = ["plan", str(recipe), "--store", str(tmp_path / "store"), "--hardware", "h100"]
    shown = CliRunner().invoke(app, arguments).stdout
    assert f"{PARAMETERS:,}" in shown
    assert "seconds on h100 at an MFU of 0.35" in shown
    stages = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)["stages"]
    by_stage = {stage["stage"]: stage["estimate"] for stage in stages}
    assert by_stage["init"]["parameters"] == {"value": PARAMETERS, "unit": ""}
    assert by_stage["shard"] == {}
    refused = CliRunner().invoke(app, [*arguments[:-1], "abacus"])
    assert (refused.exit_code, "h100-pcie" in refused.stderr) == (2, True)
