"""What the README shows can be typed as it stands."""

import re
from pathlib import Path

import yaml

from flows.main import app
from pretrain.dag import stages_of
from pretrain.recipe import parse_recipe

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_recipe_for_ones_own_data_is_valid_and_short() -> None:
    [text] = blocks("yaml")
    recipe = parse_recipe(yaml.safe_load(text))
    assert len(stages_of(recipe)) == 10
    assert len([line for line in text.splitlines() if not line.startswith("#")]) <= 11


def test_every_command_it_names_exists_and_every_command_is_named() -> None:
    known = {command.name for command in app.registered_commands}
    assert set(re.findall(r"\bpretrain ([a-z]+(?:-[a-z]+)*)\b", "\n".join(re.findall(r"`([^`\n]+)`", README)))) == known


def test_its_python_compiles_and_every_folder_of_the_tree_is_there() -> None:
    [text] = blocks("python")
    compile(text, "README.md", "exec")
    for folder in re.findall(r"^([a-z/]+/) {2,}\S", README, re.MULTILINE):
        assert (Path(__file__).parents[1] / folder).is_dir(), folder


def test_its_figures_were_filled_in() -> None:
    assert "DEMO_OUTPUT" not in README
