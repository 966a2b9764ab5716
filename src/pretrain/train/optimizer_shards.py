"""The optimizer's state of which each process holds some rows, as files without a pickle, for any number of processes.

    optimizer-00001-of-00002.safetensors    the rows that process 0 of 2 holds

A tensor is named `<parameter>/<state>`, as `model.norm.weight/exp_avg`. The header's metadata has as JSON under `shard`
which rows of what shape each is, and the optimizer's groups: their parameters by name, rates and decays. State without
a dimension, as Adam's `step`, is in every file.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pretrain.errors import StageError
from pretrain.train.checkpoints import OPTIMIZER, is_optimizer_shard, optimizer_shard_name
from pretrain.train.sharding import own_rows, own_values, sharded_like

_METADATA = "shard"
_PARAMETERS = "params"


def save_shard(
    optimizer: torch.optim.Optimizer, names: Mapping[int, str], folder: Path, index: int, count: int
) -> None:
    """Writes the rows that this process holds.

    Args:
        optimizer: of parameters that are sharded, or not.
        names: of the parameters, by `id`.
        folder: of the checkpoint.
        index: of this process, from 0.
        count: of processes.
    """
    tensors, rows = {}, {}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            name = f"{names[id(parameter)]}/{key}"
            tensors[name] = own_values(value).cpu().contiguous()
            if value.dim():
                rows[name] = {"shape": list(value.shape), "first_row": own_rows(value).start}
    groups = [
        {**group, _PARAMETERS: [names[id(parameter)] for parameter in group[_PARAMETERS]]}
        for group in optimizer.param_groups
    ]
    metadata = {"format": "pt", _METADATA: json.dumps({"groups": groups, "rows": rows})}
    save_file(tensors, folder / optimizer_shard_name(index, count), metadata)


def load_state(optimizer: torch.optim.Optimizer, names: Mapping[int, str], folder: Path) -> None:
    """Restores the state of a checkpoint, whoever wrote it: to each process the rows that it holds, and no others.

    Args:
        optimizer: of parameters that are sharded, or not, whose groups are those of the checkpoint's.
        names: of the parameters, by `id`.
        folder: of the checkpoint.

    Raises:
        StageError: the checkpoint is of another optimizer.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group[_PARAMETERS]]
    saved: _Saved = _WholeState(folder / OPTIMIZER) if (folder / OPTIMIZER).is_file() else _Shards(folder)
    groups = saved.groups([names[id(parameter)] for parameter in parameters])
    sizes, saved_sizes = ([len(group[_PARAMETERS]) for group in each] for each in (optimizer.param_groups, groups))
    if sizes != saved_sizes:
        raise StageError(
            f"the optimizer's state in {folder} is of groups of {saved_sizes} parameters, and the optimizer here has "
            f"{sizes}: it was another optimizer's"
        )
    state = {}
    for index, parameter in enumerate(parameters):
        wanted = own_rows(parameter)
        state[index] = {
            key: sharded_like(parameter, value.to(parameter.device)) if value.dim() else value
            for key, value in saved.state_of(index, names[id(parameter)], wanted).items()
        }
    numbered = iter(range(len(parameters)))
    for group in groups:
        group[_PARAMETERS] = [next(numbered) for _ in group[_PARAMETERS]]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


class _Saved(Protocol):
    def groups(self, names: list[str]) -> list[dict[str, Any]]:
        """The optimizer's groups; `names` are those of the parameters that are asked for."""

    def state_of(self, index: int, name: str, rows: range) -> dict[str, torch.Tensor]:
        """The rows of the state of parameter `index`, in the order of the groups, which has the name `name`."""


class _WholeState:
    def __init__(self, path: Path) -> None:
        # Mapped, so that what is not asked for is not read; weights_only runs no code of a file.
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        self._state, self._groups = saved["state"], saved["param_groups"]

    def groups(self, names: list[str]) -> list[dict[str, Any]]:
        return [dict(group) for group in self._groups]

    def state_of(self, index: int, name: str, rows: range) -> dict[str, torch.Tensor]:
        state = self._state.get(index, {})
        return {key: (value[rows.start : rows.stop] if value.dim() else value).clone() for key, value in state.items()}


class _Shards:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        paths = [path for path in sorted(folder.iterdir()) if is_optimizer_shard(path.name)]
        self._files: list[Any] = [safe_open(path, "pt") for path in paths]
        self._said = [json.loads(file.metadata()[_METADATA]) for file in self._files]
        self._keys: dict[str, list[str]] = {}
        for name in list(self._files[0].keys()):
            parameter, _, key = name.rpartition("/")
            self._keys.setdefault(parameter, []).append(key)

    def groups(self, names: list[str]) -> list[dict[str, Any]]:
        groups: list[dict[str, Any]] = self._said[0]["groups"]
        saved = [name for group in groups for name in group[_PARAMETERS]]
        if saved != names:
            different = sorted(set(saved) ^ set(names))[:1] or ["their order"]
            raise StageError(
                f"the optimizer's state in {self._folder} is of other parameters than the optimizer here has: "
                f"{different[0]}"
            )
        return [{key: _from_json(key, value) for key, value in group.items()} for group in groups]

    def state_of(self, index: int, name: str, rows: range) -> dict[str, torch.Tensor]:
        return {key: self._rows_of(f"{name}/{key}", rows) for key in self._keys.get(name, [])}

    def _rows_of(self, name: str, rows: range) -> torch.Tensor:
        if name not in self._said[0]["rows"]:
            scalar: torch.Tensor = self._files[0].get_tensor(name)
            return scalar
        pieces = []
        for file, said in zip(self._files, self._said, strict=True):
            stored = file.get_slice(name)
            first, count = said["rows"][name]["first_row"], stored.get_shape()[0]
            start = min(max(rows.start - first, 0), count)
            pieces.append(stored[start : min(max(rows.stop - first, start), count)])
        values = torch.cat(pieces)
        if len(values) != len(rows):
            raise StageError(f"the optimizer's state in {self._folder} lacks rows of {name}: restore it, or remove it")
        return values


def _from_json(key: str, value: Any) -> Any:
    """A group's value as torch has it: JSON knows no tuples, which Adam's betas are."""
    return tuple(value) if isinstance(value, list) and key != _PARAMETERS else value
