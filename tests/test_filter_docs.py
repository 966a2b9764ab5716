"""docs/filters.md: its recipe and every example are valid, and it names every key of the rules that it lists."""

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from pretrain.filter.config import FilterConfig
from pretrain.filter.registry import AnyRuleConfig
from pretrain.filter.rule_config import RuleConfig

PAGE = (Path(__file__).parents[1] / "docs" / "filters.md").read_text(encoding="utf-8")
EXAMPLES = sorted(set(re.findall(r"`(\{rule: .*?\})`", PAGE)))
CONFIGS = {config.model_fields["rule"].default: config for config in get_args(get_args(AnyRuleConfig)[0])}
LISTED = sorted({yaml.safe_load(example)["rule"] for example in EXAMPLES})


def test_the_recipe_is_valid():
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert [rule.rule for rule in FilterConfig.model_validate(yaml.safe_load(text)["filter"]).rules] == [
        "url",
        "gopher_quality",
        "pii",
    ]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_valid(example):
    [rule] = FilterConfig.model_validate({"rules": [yaml.safe_load(example)]}).rules
    assert isinstance(rule, RuleConfig)


@pytest.mark.parametrize("name", LISTED)
def test_every_key_is_named(name):
    keys = set(CONFIGS[name].model_fields) - {"rule"}
    assert keys <= set(re.findall(r"`([a-z0-9_]+)`", PAGE))


def test_these_rules_are_listed():
    assert {"url", "pii", "regex", "length", "code", "quality_classifier", "lambda"} <= set(LISTED)


def test_the_function_is_what_its_text_says():
    [source] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict = {}
    exec(source, names)  # noqa: S102
    assert names["too_shouty"]("ABc", max_ratio=0.5) == ("too_shouty", 2 / 3, 0.5)
    assert names["too_shouty"]("abc", max_ratio=0.5) == (None, 0, 0.5)
