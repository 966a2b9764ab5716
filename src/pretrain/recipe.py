"""The recipe: one YAML file that holds everything that bears on the result.

A config model lives beside the stage that owns it; this module composes them, reads the file and applies `--set`.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from pretrain.config import Config
from pretrain.decontaminate.config import DecontaminateConfig
from pretrain.dedup.config import DedupConfig
from pretrain.download.config import DownloadConfig
from pretrain.errors import RecipeError
from pretrain.eval.config import EvalConfig
from pretrain.filter.config import FilterConfig
from pretrain.init.config import InitConfig
from pretrain.language.config import LanguageConfig
from pretrain.pack.config import PackConfig
from pretrain.shard.config import ShardConfig
from pretrain.tokenizer.config import TokenizerConfig
from pretrain.train.config import TrainConfig
from pretrain.train.horizon import horizon

_CREDENTIALS = re.compile(r"://[^/\s'\"]*@")


class Recipe(Config):
    """Every stage's config. A stage that is null or omitted is left out of the DAG, where it is optional."""

    name: str = Field(min_length=1, description="Name of the recipe, shown in runs; bears on no result")
    seed: int = Field(default=0, ge=0, description="Every random choice comes from this and a stable key")
    download: DownloadConfig
    filter: FilterConfig | None = None
    dedup: DedupConfig | None = None
    language: LanguageConfig | None = None
    decontaminate: DecontaminateConfig | None = None
    shard: ShardConfig
    tokenizer: TokenizerConfig
    pack: PackConfig
    init: InitConfig
    train: TrainConfig
    eval: EvalConfig | None = None

    @model_validator(mode="after")
    def _sequence_fits_the_model(self) -> "Recipe":
        architecture = self.init.architecture
        if architecture is not None and self.pack.sequence_length > architecture.max_position_embeddings:
            raise ValueError(
                f"pack.sequence_length is {self.pack.sequence_length}, but the model takes at most "
                f"init.architecture.max_position_embeddings = {architecture.max_position_embeddings} tokens"
            )
        return self

    @model_validator(mode="after")
    def _training_divides_into_steps(self) -> "Recipe":
        try:
            horizon(self.train, self.pack.sequence_length)
        except RecipeError as error:
            raise ValueError(str(error)) from error
        return self

    @model_validator(mode="after")
    def _tasks_of_eval_are_there(self) -> "Recipe":
        if self.decontaminate is None or not self.decontaminate.reads_eval:
            return self
        if self.eval is None or not self.eval.file_tasks:
            lacks = "the recipe has no eval" if self.eval is None else "eval.tasks binds no files"
            raise ValueError(
                f"decontaminate.tasks names eval, but {lacks}: add tasks with a path to eval.tasks, or name the files "
                "in decontaminate.tasks"
            )
        self.config_of("decontaminate")
        return self

    def config_of(self, stage: str) -> Config:
        """The config of a stage that the recipe has, as the stage reads it: with what it takes from another part."""
        config: Config = getattr(self, stage)
        if isinstance(config, DecontaminateConfig) and config.reads_eval and self.eval is not None:
            return config.with_eval_tasks([task.searched() for task in self.eval.file_tasks])
        return config


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in a YAML file, with `stage.key=value` overrides applied.

    Args:
        path: the file.
        overrides: each `dotted.key=value`, the value read as YAML; a list item is named by its index.

    Raises:
        RecipeError: the file cannot be read, or a key, type or value is wrong; the message names it.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path} holds {type(values).__name__}, not a mapping of stages")
    for override in overrides:
        _apply(values, override)
    return parse_recipe(values, str(path))


def parse_recipe(values: dict[str, Any], origin: str = "the recipe") -> Recipe:
    """The recipe in a mapping of plain values.

    Raises:
        RecipeError: naming every offending key, the value seen and what is allowed.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        lines = [_describe(item) for item in _innermost(error.errors())]
        raise RecipeError(f"{origin} is not a valid recipe:\n" + "\n".join(lines)) from error


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"--set takes stage.key=value, got {override!r}")
    *parents, last = key.split(".")
    node: Any = values
    for name in parents:
        if isinstance(node, dict):
            if node.get(name) is None:
                node[name] = {}
            node = node[name]
        else:
            node = _item(node, name, override)
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {override!r}: the value is not valid YAML: {error}") from error
    if isinstance(node, list):
        _item(node, last, override)
        node[int(last)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise RecipeError(f"--set {override!r}: {'.'.join(parents)} is {node!r}, which has no keys")


def _item(node: Any, name: str, override: str) -> Any:
    if not isinstance(node, list):
        raise RecipeError(f"--set {override!r}: there is no key {name!r} inside {node!r}")
    if not name.isdigit() or int(name) >= len(node):
        raise RecipeError(f"--set {override!r}: {name!r} is no index of a list of {len(node)} items")
    return node[int(name)]


def _innermost(items: Sequence[Any]) -> list[Any]:
    """Leaves out an error of a container that only repeats one inside it."""
    places = [item["loc"] for item in items]
    return [i for i in items if not any(p[: len(i["loc"])] == i["loc"] and p != i["loc"] for p in places)]


def _describe(item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"]) or "(recipe)"
    shown = _CREDENTIALS.sub("://", repr(item["input"]))
    shown = shown if len(shown) <= 120 else shown[:117] + "..."
    if item["type"] == "missing":
        return f"  {key}: this key is required"
    if item["type"] == "extra_forbidden":
        allowed = _allowed_keys(item["loc"][:-1])
        return f"  {key}: unknown key (value {shown})" + (f"; known here: {', '.join(allowed)}" if allowed else "")
    message = item["msg"].removeprefix("Value error, ")
    return f"  {key}: {message} (value {shown})"


def _allowed_keys(place: Sequence[str | int]) -> list[str]:
    """The keys of the model at a place in the recipe; a place inside a union is named by the tag."""
    models: list[type[BaseModel]] = [Recipe]
    for part in place:
        fields = [
            field for model in models for name, field in model.model_fields.items() if part in (name, field.alias)
        ]
        if fields:
            models = [model for field in fields for model in _models_in(field.annotation)]
        elif not isinstance(part, int):  # the tag of a union: the model whose discriminating field has it
            models = [model for model in models if part in _literals(model)] or models
    return [field.alias or name for model in models[:1] for name, field in model.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]


def _literals(model: type[BaseModel]) -> list[Any]:
    return [value for field in model.model_fields.values() for value in get_args(field.annotation)]
