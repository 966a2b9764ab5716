"""Muon for the matrices of the hidden layers, AdamW for all else, as one optimizer.

Source: Jordan 2024 (kellerjordan.github.io/posts/muon) for the method and for what it is not meant for: embeddings,
the output head, and vectors. The update of a matrix of m x n is scaled by 0.2 * sqrt(max(m, n)), so that one learning
rate and one weight decay suit both halves (Liu et al. 2025, arXiv 2502.16982, section 2.2).
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from pretrain.train.config import TrainConfig
from pretrain.train.sharding import own_rows, own_values, sharded_like, whole

_MOMENTUM = "momentum_buffer"  # torch.optim.Muon's name for it


class Muon(torch.optim.Muon):
    """`torch.optim.Muon`, which on a CPU iterates in float32 instead of bfloat16.

    Without AVX-512 or AMX a CPU multiplies bfloat16 matrices 80 times slower than float32 ones (192 x 192, EPYC with
    AVX2 alone), so that a step of the demo took seconds.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Updates every matrix that has a gradient."""
        if any(matrix.device.type != "cpu" for group in self.param_groups for matrix in group["params"]):
            super().step()  # type: ignore[no-untyped-call]
            return
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._step_matrix(matrix, group)

    def _step_matrix(self, matrix: nn.Parameter, group: dict[str, Any]) -> None:
        gradient: Any = matrix.grad
        state = self.state[matrix]
        if _MOMENTUM not in state:
            state[_MOMENTUM] = torch.zeros_like(gradient)
        momentum: torch.Tensor = state[_MOMENTUM].lerp_(gradient, 1 - group["momentum"])
        update = orthogonalized(gradient.lerp(momentum, group["momentum"]), group)
        matrix.mul_(1 - group["lr"] * group["weight_decay"])
        matrix.add_(update, alpha=-group["lr"] * 0.2 * math.sqrt(max(matrix.shape)))


def orthogonalized(update: torch.Tensor, group: dict[str, Any]) -> torch.Tensor:
    """The update with singular values near 1, by Newton-Schulz iterations in its own dtype.

    Source: Jordan 2024, with the quintic's coefficients of `torch.optim.Muon` in `ns_coefficients`.
    """
    a, b, c = group["ns_coefficients"]
    is_tall = update.shape[0] > update.shape[1]
    matrix = update.T if is_tall else update
    norm: torch.Tensor = matrix.norm()
    matrix = matrix / norm.clamp(min=group["eps"])
    for _ in range(group["ns_steps"]):
        gram = matrix @ matrix.T
        matrix = torch.add(matrix * a, (b * gram + c * gram @ gram) @ matrix)
    return matrix.T if is_tall else matrix


class MuonWithAdamW(torch.optim.Optimizer):
    """Steps `Muon` on the groups marked `is_muon`, and fused `torch.optim.AdamW` on the others.

    State and groups are of this one optimizer, so that it is saved, loaded and scheduled as any other.

    A matrix that is sharded is gathered with its gradient and momentum, one matrix at a time, and every process
    orthogonalizes it as one process would: of a share of its rows the update would be another.

    Args:
        groups: of parameters, each with `is_muon` and `weight_decay`.
        config: the recipe's part.
    """

    def __init__(self, groups: list[dict[str, Any]], config: TrainConfig) -> None:
        betas = (config.adam_beta1, config.adam_beta2)
        muon = [group for group in groups if group["is_muon"]]
        adamw = [group for group in groups if not group["is_muon"]]
        rate = config.learning_rate
        # Muon's own momentum (0.95, Nesterov) and 5 Newton-Schulz iterations are torch's defaults, and Jordan's.
        self._muon = Muon(muon, lr=rate, adjust_lr_fn="match_rms_adamw")
        self._adamw = torch.optim.AdamW(adamw, lr=rate, betas=betas, eps=config.adam_epsilon, fused=True)
        super().__init__([*self._muon.param_groups, *self._adamw.param_groups], {})
        self._share()

    def _share(self) -> None:
        for half, is_muon in ((self._muon, True), (self._adamw, False)):
            half.param_groups = [group for group in self.param_groups if group["is_muon"] == is_muon]
            half.state = self.state

    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Updates every parameter that has a gradient."""
        if any(isinstance(parameter, DTensor) for group in self._muon.param_groups for parameter in group["params"]):
            for group in self._muon.param_groups:
                for parameter in group["params"]:
                    self._step_sharded(parameter, group)
        else:
            self._muon.step()
        self._adamw.step()

    def _step_sharded(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        if parameter.grad is None:
            return
        state, rows = self.state[parameter], own_rows(parameter)
        matrix = nn.Parameter(whole(parameter.detach()))
        matrix.grad = whole(parameter.grad)
        muon = Muon([{**group, "params": [matrix]}])
        if _MOMENTUM in state:
            muon.state[matrix][_MOMENTUM] = whole(state[_MOMENTUM])
        muon.step()
        own_values(parameter).copy_(matrix.detach()[rows.start : rows.stop])
        momentum = muon.state[matrix][_MOMENTUM][rows.start : rows.stop]
        state[_MOMENTUM] = sharded_like(parameter, momentum.clone())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what `state_dict` gave."""
        super().load_state_dict(state_dict)
        self._share()


def muon_with_adamw(model: PreTrainedModel, config: TrainConfig, decayed: list[str]) -> MuonWithAdamW:
    """The optimizer of a model.

    Args:
        model: the model.
        config: the recipe's part.
        decayed: names of the parameters that decay.
    """
    embeddings = {id(layer.weight) for layer in _embeddings(model)}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_muon = parameter.dim() == 2 and id(parameter) not in embeddings
            groups.setdefault((is_muon, name in decayed), []).append(parameter)
    return MuonWithAdamW(
        [
            {"params": parameters, "is_muon": is_muon, "weight_decay": config.weight_decay if is_decayed else 0.0}
            for (is_muon, is_decayed), parameters in sorted(groups.items(), key=lambda item: item[0])
        ],
        config,
    )


def _embeddings(model: PreTrainedModel) -> list[Any]:
    layers: list[Any] = [model.get_input_embeddings(), model.get_output_embeddings()]  # type: ignore[no-untyped-call]
    return [layer for layer in layers if layer is not None]
