"""Every list of stages names the same ones: what CONTRIBUTING.md says of a new stage was done, all of it."""

import ast
import re
import tomllib

from pretrain.dag import DOCUMENT_STAGES, NODES
from pretrain.recipe import Recipe
from tests.architecture.sources import ROOT, nodes

STAGES = [node.name for node in NODES]


def test_the_recipe_has_a_field_for_each_in_the_order_of_the_dag() -> None:
    assert [name for name in Recipe.model_fields if name not in {"name", "seed"}] == STAGES


def test_the_chain_of_documents_is_the_start_of_the_dag() -> None:
    assert tuple(STAGES[: len(DOCUMENT_STAGES)]) == DOCUMENT_STAGES


def test_none_may_import_another() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [independent] = [contract["modules"] for contract in contracts if contract["type"] == "independence"]
    assert independent == [f"pretrain.{stage}" for stage in STAGES]


def test_each_is_called_in_a_flow_and_none_that_is_not_there() -> None:
    imported, asked = set(), set()
    for _, node in nodes("flows"):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tasks."):
            imported.add((node.module or "").removeprefix("tasks."))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "wants":
            asked |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    assert imported - {"adapter"} == set(STAGES)
    assert asked <= set(STAGES)
    optional = {name for name, field in Recipe.model_fields.items() if not field.is_required() and name != "seed"}
    assert optional <= asked  # a recipe may leave it out, and so must the flow


def test_the_readme_has_a_row_for_each() -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("| stage | does |\n|---|---|\n")[2]
    rows = re.findall(r"^\| (\w+) \|", table.partition("\n\n")[0], re.MULTILINE)
    assert rows == STAGES
