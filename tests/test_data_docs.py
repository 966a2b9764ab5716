"""docs/data.md: its recipe is valid, its commands exist, and its example chooses what a rerun would keep."""

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from flows.main import app
from pretrain.recipe import parse_recipe
from tests.data_run import run_data_stages
from tests.tiny import tiny_values, write_corpus

PAGE = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
RULES = [{"rule": "pii"}, {"rule": "course"}, {"rule": "gopher_quality", "min_alphabetic_word_ratio": 0.7}]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_its_recipe_is_valid() -> None:
    [text] = blocks("yaml")
    recipe = parse_recipe({**tiny_values(), **yaml.safe_load(text)})
    assert [source.name for source in recipe.download.sources] == ["c4", "peps", "crawl"]


def test_every_command_it_names_exists() -> None:
    known = {command.name for command in app.registered_commands}
    assert set(re.findall(r"(?:`|\$ )pretrain ([a-z]+)\b", PAGE)) <= known


def test_its_example_chooses_a_threshold_as_a_rerun_would(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_corpus(tmp_path / "corpus" / "a.jsonl")
    values = {**tiny_values(), "filter": {"rules": RULES, "record_metrics": True}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    run = run_data_stages(tmp_path / "tiny.yaml", tmp_path / "store", until="filter")
    overrides = ["filter.rules.2.min_alphabetic_word_ratio=0.6"]
    again = run_data_stages(tmp_path / "tiny.yaml", tmp_path / "store", overrides=overrides, until="filter")

    ledger, metrics = blocks("python")
    ledger = re.sub(r'filtered = ".*?"', f'filtered = "{tmp_path}/store/{run.artifacts["filter"].key}"', ledger)
    names: dict[str, Any] = {}
    exec(compile(ledger + metrics, "docs/data.md", "exec"), names)  # noqa: S102 (it is our own page)

    before, after = (one.artifacts["filter"].manifest.stats for one in (run, again))
    assert names["dropped"].height == before["documents_dropped"] > 0
    rerun = pl.read_parquet(f"{tmp_path}/store/{again.artifacts['filter'].key}/data/*.parquet", columns=["id"])
    assert sorted(names["kept"]["id"]) == sorted(rerun["id"])
    counts = f"{before['documents_out']} kept at 0.7, {after['documents_out']} at 0.6"
    assert capsys.readouterr().out.endswith(f"{counts}\n")
    assert before["documents_out"] < after["documents_out"]
