"""The learning rate of each step, by closed forms written out here."""

import math

import pytest
import torch
from transformers import get_scheduler

from pretrain.train.config import TrainConfig
from pretrain.train.horizon import horizon
from pretrain.train.trainer import schedule


def rates(**values):
    config = TrainConfig(max_steps=20, warmup_steps=4, learning_rate=1.0, per_device_batch_size=1, **values)
    name, options = schedule(config, horizon(config, 8))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=config.learning_rate)
    scheduler = get_scheduler(name, optimizer, config.warmup_steps, 20, scheduler_specific_kwargs=options)
    found = []
    for _ in range(20):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


WARMUP = [0.0, 0.25, 0.5, 0.75]


@pytest.mark.parametrize(
    ("shape", "falling"),
    [
        ("sqrt", lambda share: 1 - math.sqrt(share)),
        ("linear", lambda share: 1 - share),
        ("cosine", lambda share: (1 + math.cos(math.pi * share)) / 2),
    ],
)
def test_wsd_warms_up_stays_and_decays(shape, falling):
    # 20 steps: 4 of warm-up, 0.4 * 20 = 8 of decay, 8 between them
    expected = [*WARMUP, *[1.0] * 8, *[falling(done / 8) for done in range(8)]]
    assert rates(schedule="wsd", decay_fraction=0.4, decay_shape=shape) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("linear", [1 - done / 16 for done in range(16)]),
        ("cosine", [(1 + math.cos(math.pi * done / 16)) / 2 for done in range(16)]),
        ("constant", [1.0] * 16),
    ],
)
def test_other_schedules(name, after):
    assert rates(schedule=name) == pytest.approx([*WARMUP, *after], abs=1e-12)
