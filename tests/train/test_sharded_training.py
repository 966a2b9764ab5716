"""FSDP2 with gloo: two processes that each hold half of the model train as one that holds it all."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests.train.killing import checkpoints_of, train_here
from tests.train.sharded import Share, train_together
from tests.train.test_processes import assert_same_losses, context_in, rows_of

SHARDS = ["optimizer-00001-of-00002.safetensors", "optimizer-00002-of-00002.safetensors"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    context = context_in(tmp_path_factory.mktemp("alone"), max_steps=12)
    train_here(context)
    return context


@pytest.fixture(scope="module")
def trained(alone, tmp_path_factory):
    """By name, trainings by the same two processes: from the beginning, and on from one process and from DDP."""
    from pretrain.train.stopping import Stopped
    from tests.train.test_stopping import SignalAt

    contexts = {
        name: context_in(tmp_path_factory.mktemp(name), max_steps=12) for name in ("whole", "from_one", "from_ddp")
    }
    with pytest.raises(Stopped):
        train_here(contexts["from_one"], [SignalAt("on_step_begin", 4)])
    told = train_together(
        [
            Share(contexts["whole"]),
            Share(contexts["from_one"], stop_after=9),
            Share(contexts["from_ddp"], sharding="none", stop_after=5),
            Share(contexts["from_ddp"]),
        ]
    )
    return contexts, dict(zip(["whole", "from_one", "ddp", "from_ddp"], told, strict=True))


def test_every_loss_is_that_of_one_process_and_every_sample_is_read_once(alone, trained):
    contexts, told = trained
    assert_same_losses(contexts["whole"], alone)
    norms = [[row["grad_norm"] for row in rows_of(c) if "loss" in row] for c in (contexts["whole"], alone)]
    assert norms[0] == pytest.approx(norms[1], abs=1e-6)
    first, second = (process["places"] for process in told["whole"].processes)
    assert [sorted(a + b) for a, b in zip(first, second, strict=True)] == [
        list(range(4 * step, 4 * step + 4)) for step in range(12)
    ]


def test_each_process_holds_half_of_the_weights_and_of_the_optimizers_state(trained):
    _, told = trained
    for process in told["whole"].processes:
        assert process["is_whole"] == []
        assert process["parameter_bytes"] == 4 * 22_688 / 2
        assert process["state_bytes"] == 2 * 4 * 22_688 / 2  # both of Adam's moments


def test_the_export_is_that_of_one_process(alone, trained):
    contexts, told = trained
    here, there = (context.store.local_file("train/x") for context in (contexts["whole"], alone))
    assert sorted(path.relative_to(here) for path in here.rglob("data/*")) == sorted(
        path.relative_to(there) for path in there.rglob("data/*")
    )
    for name in ("config.json", "generation_config.json", "tokenizer.json"):
        assert (here / "data" / name).read_bytes() == (there / "data" / name).read_bytes()
    assert_close(here / "data/model.safetensors", there / "data/model.safetensors", 1e-6)
    with (here / "data/model.safetensors").open("rb") as a, (there / "data/model.safetensors").open("rb") as b:
        size = int.from_bytes(a.read(8), "little")
        assert int.from_bytes(b.read(8), "little") == size and a.read(size) == b.read(size)
    assert told["whole"].stats["parameters"] == 22_688


def assert_close(path, expected_path, tolerance):
    weights, expected = load_file(path), load_file(expected_path)
    assert weights.keys() == expected.keys()
    assert max(float((weights[name] - expected[name]).abs().max()) for name in weights) < tolerance


def test_a_checkpoint_is_plain_weights_and_a_share_of_the_optimizer_from_each_process(alone, trained):
    contexts, _ = trained
    path, expected = (checkpoints_of(context).newest().path for context in (contexts["whole"], alone))
    names = {file.name for file in expected.iterdir()}
    assert {file.name for file in path.iterdir()} == (names - {"optimizer.pt"}) | {
        *SHARDS,
        "rng_state_0.pth",
        "rng_state_1.pth",
    }
    assert_close(path / "model.safetensors", expected / "model.safetensors", 1e-6)
    # Put together by hand, without the code that wrote them.
    shards = [load_file(path / name) for name in SHARDS]
    state = torch.load(expected / "optimizer.pt", weights_only=True)
    with safe_open(path / SHARDS[1], "pt") as file:
        said = json.loads(file.metadata()["shard"])
    names = [name for group in said["groups"] for name in group["params"]]
    assert len(names) == len(state["state"]) == 21
    for index, name in enumerate(names):
        assert state["state"][index].keys() == {"step", "exp_avg", "exp_avg_sq"}
        for key, value in state["state"][index].items():
            pieces = [shard[f"{name}/{key}"] for shard in shards]
            found = torch.cat(pieces) if value.dim() else pieces[0]
            torch.testing.assert_close(found, value, rtol=1e-4, atol=1e-8)
            if value.dim():
                rows = said["rows"][f"{name}/{key}"]
                assert rows == {"shape": list(value.shape), "first_row": value.shape[0] // 2}
    assert said["groups"][0]["lr"] == state["param_groups"][0]["lr"]


def test_a_resume_goes_from_one_process_to_two_that_share_and_back(alone, trained):
    contexts, told = trained
    context = contexts["from_one"]
    assert told["from_one"].stats == {"stopped": 9}
    assert checkpoints_of(context).newest().num_processes == 2
    train_here(context)
    assert_same_losses(context, alone)


def test_a_resume_goes_from_ddp_to_shares(alone, trained):
    contexts, told = trained
    assert told["ddp"].stats == {"stopped": 5}
    assert told["ddp"].processes[0]["state_bytes"] == 2 * 4 * 22_688
    assert [len(process["places"]) for process in told["from_ddp"].processes] == [7, 7]
    assert_same_losses(contexts["from_ddp"], alone)
