"""docs/eval.md: its recipe and its entries for public files are valid, and find the questions of those at hand."""

import re
from pathlib import Path

import pytest
import yaml

from pretrain.recipe import parse_recipe
from pretrain.task_files.questions import read_questions
from tests.task_files.file_tasks import EVAL, files_of, make_task, needs_public_files
from tests.tiny import tiny_values

PAGE = (Path(__file__).parents[1] / "docs" / "eval.md").read_text(encoding="utf-8")
ENTRIES = dict(re.findall(r"^\| ([\w ,]+) \| `(prompt: .+)` \|$", PAGE, re.MULTILINE))
FILES = {
    "ARC": "arc_easy.jsonl.gz",
    "BLiMP": "blimp_part1.jsonl.gz",
    "COPA": "copa.jsonl.gz",
    "LAMBADA": "lambada_test_openai.jsonl",
    "MMLU, by text": "mmlu_part1.jsonl.gz",
    "MMLU, by letter": "mmlu_part1.jsonl.gz",
    "OLMo request files": "oe_arc_easy__rc_0shot.jsonl.gz",
    "OpenBookQA": "openbookqa.jsonl.gz",
    "PIQA": "piqa.jsonl.gz",
    "TruthfulQA MC1": "truthfulqa_mc_task.json",
    "WinoGrande": "winogrande_xl.jsonl.gz",
}


def entry(name):
    values = yaml.safe_load("{" + ENTRIES[name].replace("\\|", "|") + "}")
    kind = "continuation" if name == "LAMBADA" else "multiple_choice"
    return make_task(name="public", path=FILES.get(name, "file.jsonl"), kind=kind, **values)


def test_its_recipe_is_valid():
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    recipe = parse_recipe({**tiny_values(), **yaml.safe_load(text)})
    assert [task.name for task in recipe.config_of("decontaminate").task_files] == ["arc_easy", "lambada"]


def test_every_entry_is_valid():
    assert set(ENTRIES) == {*FILES, "HellaSwag"}
    for name in ENTRIES:
        assert entry(name).searched().fields


@needs_public_files
@pytest.mark.parametrize("name", FILES)
def test_public_files_have_questions(name):
    task = entry(name)
    limited = task.model_copy(update={"where": {**task.where, "UID": "npi_present_1"}}) if name == "BLiMP" else task
    assert len(read_questions(limited, files_of(EVAL / FILES[name]))) >= 100
