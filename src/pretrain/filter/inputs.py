"""The outside files that rules read: each rule's lists, models or code count by content, where they lie does not."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from pretrain.external import ExternalInput, Surroundings
from pretrain.filter.config import FilterConfig
from pretrain.filter.verdict import Rule
from pretrain.model_fetching import local_model


def external_inputs(config: FilterConfig, around: Surroundings) -> list[ExternalInput]:
    """One input for every rule that reads files, named `rule:<position>:<rule>`.

    Raises:
        InputError: a file that a rule names is not there.
    """
    found = (rule.external(input_name(index, rule.rule), around) for index, rule in enumerate(config.rules))
    return [external for external in found if external is not None]


def input_name(index: int, rule: str) -> str:
    """`rule:<position>:<rule>`: the key of a rule's files among the external inputs of the stage."""
    return f"rule:{index}:{rule}"


def make_rules(config: FilterConfig, external: Mapping[str, ExternalInput]) -> Iterable[tuple[str, Rule]]:
    """The rules of a config with their names, in order.

    Raises:
        InputError: a file of a rule was changed since the run was planned, or a model at a url has other bytes.
        StageError: the server of a model cannot be reached.
    """
    for index, rule in enumerate(config.rules):
        found = external.get(input_name(index, rule.rule))
        key = f"filter.rules.{index}.model"
        files: dict[str, Path] = {file.name: local_model(file, key) for file in found.files} if found else {}
        yield rule.rule, rule.make_rule(files)
