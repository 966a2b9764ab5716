"""The optimizer's state in shards, as a checkpoint holds it: their format, and reading them in one process."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from pretrain.errors import StageError
from pretrain.train.optimizer_shards import load_state, save_shard

ROWS = {"wide": (7, 2), "tall": (2, 3), "vector": (5,)}


def make_optimizer(learning_rate=0.25, num_steps=0):
    generator = torch.Generator().manual_seed(3)
    named = {name: torch.nn.Parameter(torch.zeros(shape)) for name, shape in ROWS.items()}
    groups = [
        {"params": [named["tall"], named["wide"]], "weight_decay": 0.5},
        {"params": [named["vector"]], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=(0.5, 0.75))
    for _ in range(num_steps):
        for parameter in named.values():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    return optimizer, {id(parameter): name for name, parameter in named.items()}


def write_three_shards(folder, optimizer, names):
    """As three processes would: 7 rows are 3 + 3 + 1, 2 are 1 + 1 + 0, 5 are 2 + 2 + 1."""
    firsts = {"wide": [0, 3, 6, 7], "tall": [0, 1, 2, 2], "vector": [0, 2, 4, 5]}
    groups = [{**group, "params": [names[id(p)] for p in group["params"]]} for group in optimizer.param_groups]
    for index in range(3):
        tensors, rows = {}, {}
        for parameter, state in optimizer.state.items():
            name = names[id(parameter)]
            start, stop = firsts[name][index : index + 2]
            tensors[f"{name}/step"] = state["step"]
            for key in ("exp_avg", "exp_avg_sq"):
                tensors[f"{name}/{key}"] = state[key][start:stop].contiguous()
                rows[f"{name}/{key}"] = {"shape": list(ROWS[name]), "first_row": start}
        metadata = {"format": "pt", "shard": json.dumps({"groups": groups, "rows": rows})}
        save_file(tensors, folder / f"optimizer-0000{index + 1}-of-00003.safetensors", metadata)


def assert_same_state(optimizer, expected):
    found, wanted = optimizer.state_dict(), expected.state_dict()
    assert found["param_groups"] == wanted["param_groups"]
    for index, state in wanted["state"].items():
        assert found["state"][index].keys() == state.keys()
        assert all(torch.equal(found["state"][index][key], value) for key, value in state.items())


def test_shards_of_three_processes_are_read_by_one(tmp_path):
    expected, names = make_optimizer(learning_rate=0.125, num_steps=2)
    write_three_shards(tmp_path, expected, names)
    optimizer, names = make_optimizer()
    load_state(optimizer, names, tmp_path)
    assert_same_state(optimizer, expected)


def test_what_one_writes_has_every_row_and_is_read_again(tmp_path):
    expected, names = make_optimizer(learning_rate=0.125, num_steps=2)
    save_shard(expected, names, tmp_path, 0, 1)
    [path] = tmp_path.iterdir()
    assert path.name == "optimizer-00001-of-00001.safetensors"
    tensors = load_file(path)
    assert len(tensors) == 9 and tensors["wide/exp_avg"].shape == (7, 2) and tensors["wide/step"].shape == ()
    optimizer, names = make_optimizer()
    load_state(optimizer, names, tmp_path)
    assert_same_state(optimizer, expected)


def test_what_the_trainer_of_one_process_writes_is_read_too(tmp_path):
    expected, _ = make_optimizer(learning_rate=0.125, num_steps=2)
    torch.save(expected.state_dict(), tmp_path / "optimizer.pt")
    optimizer, names = make_optimizer()
    load_state(optimizer, names, tmp_path)
    assert_same_state(optimizer, expected)


def test_the_state_of_other_parameters_is_refused(tmp_path):
    write_three_shards(tmp_path, *make_optimizer(num_steps=1))
    optimizer, names = make_optimizer()
    others = {key: name.replace("wide", "broad") for key, name in names.items()}
    with pytest.raises(StageError, match=r"is of other parameters than the optimizer here has: broad"):
        load_state(optimizer, others, tmp_path)


def test_the_state_of_another_optimizer_is_refused(tmp_path):
    expected, names = make_optimizer(num_steps=1)
    torch.save(expected.state_dict(), tmp_path / "optimizer.pt")
    optimizer = torch.optim.SGD(expected.param_groups[0]["params"])
    with pytest.raises(StageError, match=r"is of groups of \[2, 1\] parameters, and the optimizer here has \[2\]"):
        load_state(optimizer, names, tmp_path)


def test_rows_that_are_nowhere_are_missed(tmp_path):
    write_three_shards(tmp_path, *make_optimizer(num_steps=1))
    (tmp_path / "optimizer-00002-of-00003.safetensors").unlink()
    optimizer, names = make_optimizer()
    with pytest.raises(StageError, match=r"lacks rows of tall/exp_avg"):
        load_state(optimizer, names, tmp_path)
