import subprocess
import sys

import pytest
from pydantic import ValidationError

from pretrain.dag import node, stages_of
from pretrain.decontaminate.config import DecontaminateConfig
from pretrain.decontaminate.inputs import external_inputs
from pretrain.external import Surroundings
from pretrain.filehash import FileHashes
from pretrain.recipe import parse_recipe
from pretrain.store import LocalStore
from tests.tiny import tiny_values

TASK = {"name": "t", "path": "f.jsonl", "fields": ["text"]}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "Field required"),
        ({"tasks": []}, "at least 1 item"),
        ({"tasks": [TASK, TASK]}, "more than one task has the name t"),
        ({"tasks": [{**TASK, "fields": []}]}, "at least 1 item"),
        ({"tasks": [{**TASK, "name": "a/b"}]}, "match pattern"),
        ({"tasks": [{**TASK, "blank": "_"}]}, "blank and blank_fields belong together"),
        ({"tasks": [TASK], "ngram": 5}, r"min_words is 8 \(min_words\), more than the 5 words"),
        ({"tasks": [{**TASK, "min_words": 20}]}, r"min_words is 20 \(t\), more than the 13 words"),
        ({"tasks": [TASK], "action": "remove"}, "'drop', 'cut' or 'report'"),
    ],
)
def test_a_wrong_value_says_what_is_allowed(config, message):
    with pytest.raises(ValidationError, match=message):
        DecontaminateConfig.model_validate(config)


def test_content_counts_and_places_do_not(tmp_path):
    def fingerprint(folder, text):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "f.jsonl").write_text(text)
        config = DecontaminateConfig.model_validate({"tasks": [{**TASK, "path": f"{folder}/f.jsonl"}]})
        [external] = external_inputs(config, Surroundings(tmp_path, LocalStore(tmp_path), FileHashes()))
        return external.name, external.fingerprint, config.identity()

    assert fingerprint("a", "1") == fingerprint("b", "1")
    assert fingerprint("c", "2")[1] != fingerprint("d", "1")[1]


def test_left_out_it_is_no_part_of_the_dag_and_given_it_comes_before_the_shards():
    without = parse_recipe(tiny_values())
    given = parse_recipe({**tiny_values(), "decontaminate": {"tasks": [TASK]}})
    assert "decontaminate" not in stages_of(without)
    assert node("shard").inputs(without) == {"documents": "language", "clusters": "dedup"}
    assert node("shard").inputs(given) == {"documents": "decontaminate", "clusters": "dedup"}
    assert node("decontaminate").inputs(given) == {"documents": "language"}
    assert node("decontaminate").inputs(given.model_copy(update={"language": None})) == {"documents": "dedup"}
    for stage in stages_of(without):
        assert node(stage).identity(without) == node(stage).identity(given)


def test_planning_loads_no_numeric_library():
    code = (
        "import sys, pretrain.decontaminate.config, pretrain.decontaminate.inputs\n"
        "print(sorted({'numpy', 'numba', 'pyarrow', 'torch', 'polars'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
