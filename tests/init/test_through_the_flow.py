"""A run whose init measures: pack comes first, and the loss is the one that training begins with."""

import pytest

from tests.command import pretrain
from tests.tiny import write_recipe


@pytest.mark.slow
def test_init_waits_for_pack_where_it_measures(tmp_path):
    measured = {"op": "drop_layers", "num_layers": 1, "strategy": "block_influence", "num_sequences": 4}
    operations = [{"op": "expand_blocks", "num_groups": 2}, measured]
    recipe = write_recipe(tmp_path, init={"operations": operations, "validation_sequences": 16})
    ended = pretrain("run", recipe, "--store", tmp_path / "store", "--until", "train", "--json")
    assert ended.code == 0, ended.errors
    stats = {stage["stage"]: stage["stats"] for stage in ended.out["stages"]}
    assert stats["init"]["operations"][1]["dropped"] == [1]
    assert stats["init"]["validation_loss"] == pytest.approx(stats["train"]["validation_loss_first"], rel=1e-6)
    names = {stage["stage"]: f"{stage['stage']}/{stage['fingerprint']}" for stage in ended.out["stages"]}
    shown = pretrain("show", names["init"], "--store", tmp_path / "store")
    assert "block influence by layer" in shown.text
