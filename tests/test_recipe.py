"""Recipes: what is accepted, what is refused and in which words."""

from pathlib import Path

import pytest
import yaml

from pretrain.errors import RecipeError
from pretrain.recipe import load_recipe, parse_recipe
from tests.tiny import tiny_values, write_recipe

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_every_recipe_that_is_shipped_is_valid(path: Path) -> None:
    assert load_recipe(path).name == path.stem


def test_a_recipe_survives_being_written_and_read(tmp_path: Path) -> None:
    recipe = parse_recipe(tiny_values())
    path = tmp_path / "again.yaml"
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json", by_alias=True)))
    assert load_recipe(path) == recipe


def test_overrides_are_yaml_and_reach_into_lists(tmp_path: Path) -> None:
    path = write_recipe(tmp_path)
    overrides = ["train.learning_rate=0.5", "filter.rules.0.min_long_lines=4", "dedup.minhash=null", "language=null"]
    recipe = load_recipe(path, overrides)
    assert recipe.train.learning_rate == 0.5
    assert recipe.filter is not None
    assert recipe.filter.rules[0].model_dump()["min_long_lines"] == 4
    assert recipe.dedup is not None
    assert recipe.dedup.minhash is None
    assert recipe.language is None


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.learning_rates=1", ["train.learning_rates: unknown key (value 1)", "known here: ", "learning_rate,"]),
        ("filter.rules.0.min_x=1", ["filter.rules.0.course.min_x: unknown key (value 1)", "min_long_lines"]),
        ("colour=red", ["colour: unknown key (value 'red')", "download, filter, dedup"]),
        ("train.learning_rate=fast", ["train.learning_rate", "valid number", "'fast'"]),
        ("dedup.minhash.bands=0", ["dedup.minhash.bands", "greater than or equal to 1", "(value 0)"]),
        ("dedup.exact.normalize=all", ["dedup.exact.normalize", "'whitespace'", "(value 'all')"]),
        ("pack.sequence_length=128", ["pack.sequence_length is 128", "max_position_embeddings = 64"]),
        ("shard=null", ["shard"]),
        ("train.learning_rate", ["--set takes stage.key=value, got 'train.learning_rate'"]),
        ("filter.rules.7.x=1", ["'7' is no index of a list of 1 items"]),
        ("name.x=1", ["name is 'tiny', which has no keys"]),
        ("train.learning_rate=[", ["not valid YAML"]),
    ],
)
def test_a_wrong_key_or_value_is_named_with_what_is_allowed(tmp_path: Path, override: str, words: list[str]) -> None:
    with pytest.raises(RecipeError) as raised:
        load_recipe(write_recipe(tmp_path), [override])
    for word in words:
        assert word in str(raised.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [("a: [", "not valid YAML"), ("- a", "holds list, not a mapping"), ("", "holds NoneType, not a mapping")],
)
def test_a_file_that_is_no_recipe_says_so(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=words):
        load_recipe(path)
    with pytest.raises(RecipeError, match=r"cannot read the recipe .*absent\.yaml"):
        load_recipe(tmp_path / "absent.yaml")
