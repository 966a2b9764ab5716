"""How a step's samples are shared out among processes, as the Trainer does it by accelerate."""

import pytest
from accelerate.data_loader import BatchSamplerShard
from torch.utils.data import BatchSampler, SequentialSampler

from pretrain.train.config import TrainConfig
from pretrain.train.horizon import horizon


@pytest.mark.parametrize("num_processes", [1, 2, 3, 6])
def test_each_step_has_the_same_samples_for_every_number_of_processes(num_processes):
    config = TrainConfig(max_steps=5, warmup_steps=0, per_device_batch_size=4, gradient_accumulation_steps=6)
    length = horizon(config, 32)
    accumulation = length.accumulation_steps(num_processes)
    batches = BatchSampler(SequentialSampler(range(length.num_samples)), config.per_device_batch_size, drop_last=False)
    of_processes = [list(BatchSamplerShard(batches, num_processes, rank)) for rank in range(num_processes)]
    for step in range(length.steps):
        read = [
            sample
            for of_process in of_processes
            for batch in of_process[step * accumulation : (step + 1) * accumulation]
            for sample in batch
        ]
        assert sorted(read) == list(range(step * 24, (step + 1) * 24))
