"""docs/init.md: its recipe is valid, and it names every operation, key, size and accelerator."""

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from pretrain.init.architecture import ArchitectureConfig
from pretrain.init.config import InitConfig
from pretrain.init.operations import AnyOperation
from pretrain.modeling.hardware import ACCELERATORS
from tests.init.test_sizes import PUBLISHED

PAGE = (Path(__file__).parents[2] / "docs" / "init.md").read_text(encoding="utf-8")
OPERATIONS = {operation.model_fields["op"].default: operation for operation in get_args(get_args(AnyOperation)[0])}


def test_the_recipe_is_valid():
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    config = InitConfig.model_validate(yaml.safe_load(text)["init"])
    assert [operation.op for operation in config.operations] == ["random", "expand_blocks"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_key_of_an_operation_is_in_its_row(name):
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    assert set(OPERATIONS[name].model_fields) - {"op"} <= set(re.findall(r"`(\w+)`", row))


def test_every_key_of_an_architecture_is_named():
    assert set(ArchitectureConfig.model_fields) <= set(re.findall(r"`(\w+)`", PAGE))


def test_every_size_has_the_parameters_that_are_tested():
    rows = re.findall(r"^\| ([\d.]+[MB]) \| ([\d,]+) \| ([\d,]+) \|", PAGE, re.MULTILINE)
    told = {
        name: (int(vocabulary.replace(",", "")), int(parameters.replace(",", "")))
        for name, parameters, vocabulary in rows
    }
    assert told == PUBLISHED


def test_all_hardware_is_named():
    assert {accelerator.name for accelerator in ACCELERATORS} <= set(re.findall(r"`([\w-]+)`", PAGE))
