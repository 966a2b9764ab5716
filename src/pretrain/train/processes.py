"""The processes that share one training, as torchrun starts them; all of it is trivial where there is one."""

import os

import torch
from torch import distributed


def num_processes() -> int:
    """How many there are."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_main() -> bool:
    """Whether this is the one that writes files and speaks to the parent."""
    return int(os.environ.get("RANK", "0")) == 0


def wait_for_all() -> None:
    """Returns when every process has called it."""
    if num_processes() > 1:
        distributed.barrier()


def process_index() -> int:
    """Which of them this is, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def sum_over_processes(values: torch.Tensor) -> torch.Tensor:
    """The sum of each value over all processes, the same bits in all of them; `values` is written over."""
    if num_processes() > 1:
        distributed.all_reduce(values)
    return values


def mean_over_processes(values: torch.Tensor) -> torch.Tensor:
    """The mean of each value over all processes, the same bits in all of them; `values` is written over."""
    return sum_over_processes(values) / num_processes()
