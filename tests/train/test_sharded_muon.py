"""Muon of sharded matrices: the same bits as of whole ones, from the same gradients."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from pretrain.train.config import TrainConfig
from pretrain.train.optimizers import muon_with_adamw
from tests.train.test_optimizers import decayed, make_model

distributed.init_process_group("gloo")
config = TrainConfig(max_steps=10, optimizer="muon", learning_rate=0.01, weight_decay=0.1)
mesh = init_device_mesh("cpu", (3,))
whole, sharded = make_model(num_key_value_heads=1), make_model(num_key_value_heads=1)
names = decayed(whole)
for module in sharded.modules():
    for name, value in list(module.named_parameters(recurse=False)):
        module.register_parameter(name, torch.nn.Parameter(distribute_tensor(value.detach(), mesh, [Shard(0)])))
optimizers = [muon_with_adamw(model, config, names) for model in (whole, sharded)]
generator = torch.Generator().manual_seed(0)
for _ in range(4):
    for name, parameter in whole.named_parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
        sharded.get_parameter(name).grad = distribute_tensor(parameter.grad, mesh, [Shard(0)])
    for optimizer in optimizers:
        optimizer.step()
for name, parameter in whole.named_parameters():
    found = sharded.get_parameter(name)
    assert isinstance(found, DTensor)
    if "proj" in name:
        assert torch.equal(found.full_tensor(), parameter), name
        momentum = optimizers[1].state[found]["momentum_buffer"]
        assert momentum.to_local().shape == found.to_local().shape
        assert torch.equal(momentum.full_tensor(), optimizers[0].state[parameter]["momentum_buffer"]), name
    else:
        torch.testing.assert_close(found.full_tensor(), parameter)
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_three_processes_update_matrices_as_one_does(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3", str(path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
    )
