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


def mean_over_processes(values: torch.Tensor) -> torch.Tensor:
    """The mean of each value over all processes, the same bits in all of them."""
    if num_processes() > 1:
        distributed.all_reduce(values)
        values = values / num_processes()
    return values
