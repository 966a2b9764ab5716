"""Which rows of a tensor each process holds under FSDP2, as a DTensor. Others are whole in every process.

Process r of n holds rows r * c to (r + 1) * c of the first dimension, c = ceil(rows / n): the last may hold fewer, or
none.
"""

import math
from collections.abc import Iterable

import torch
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, Shard


def is_sharded(model: torch.nn.Module) -> bool:
    """Whether each process holds a share of `model` only."""
    return isinstance(model, FSDPModule)


def release(model: torch.nn.Module) -> None:
    """Lets go of what a forward pass without a backward pass leaves whole: the outermost group of a sharded model."""
    if isinstance(model, FSDPModule):
        model.reshard()


def own_bytes(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes of the rows that this process holds."""
    return sum(own_values(tensor).nbytes for tensor in tensors)


def own_rows(tensor: torch.Tensor) -> range:
    """The rows of `tensor`, counted over all processes, that this one holds: all rows, where it is not sharded."""
    total = tensor.shape[0] if tensor.dim() else 1
    if not isinstance(tensor, DTensor):
        return range(total)
    share = math.ceil(total / tensor.device_mesh.size())
    first = min(tensor.device_mesh.get_local_rank() * share, total)
    return range(first, min(first + share, total))


def own_values(tensor: torch.Tensor) -> torch.Tensor:
    """The rows of `tensor` that this process holds, (len(own_rows(tensor)), ...), in the same memory."""
    detached = tensor.detach()
    return detached.to_local() if isinstance(detached, DTensor) else detached


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """All of `tensor`, in every process. Called by all at once."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def sharded_like(parameter: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """The tensor of a parameter's shape of which this process holds `values`, sharded as the parameter is."""
    if not isinstance(parameter, DTensor):
        return values
    mesh, shape, stride = parameter.device_mesh, parameter.shape, parameter.stride()
    return DTensor.from_local(values, mesh, [Shard(0)], run_check=False, shape=shape, stride=stride)
