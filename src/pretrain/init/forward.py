"""A model's forward pass layer by layer, straight from its plan: one layer's weights are in memory at a time.

So block influence and the validation loss of a model that is nowhere saved are measured in the memory of a layer and of
the hidden states. The layers are transformers' own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch.nn.functional import embedding, linear
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRMSNorm, LlamaRotaryEmbedding

from pretrain.init.plan import ModelPlan
from pretrain.modeling.parameters import EMBEDDING, LAYER_PREFIX, LM_HEAD, split_layer

_FINAL_NORM = "model.norm.weight"


@dataclass(frozen=True)
class Rows:
    """Sequences of one length.

    Attributes:
        tokens: (sequences, length) int64.
        positions: (sequences, length) int64, from 0 in each document; None counts from 0 in each sequence.
        documents: (sequences, length) int64, number of each token's document, -1 at padding; None where a sequence is
            one. Tokens attend to those of their own document.
    """

    tokens: NDArray[Any]
    positions: NDArray[Any] | None = None
    documents: NDArray[Any] | None = None


class StreamedModel:
    """The model of a plan, in evaluation mode, in float32 (of weights as the plan rounds them).

    Args:
        plan: the model.
        device: where layers are computed, such as `cpu` or `cuda`; hidden states wait on the CPU.
        weight: the values of a tensor of the plan by name, on the CPU.
    """

    def __init__(self, plan: ModelPlan, device: str, weight: Callable[[str], torch.Tensor]) -> None:
        self._plan = plan
        self._device = device
        self._weight = weight
        self._config: Any = LlamaConfig.from_dict(dict(plan.config))
        self._config._attn_implementation = "sdpa"
        self._rotary = LlamaRotaryEmbedding(self._config).to(device)

    @torch.inference_mode()
    def hidden_states(self, rows: Rows) -> Iterator[torch.Tensor]:
        """The residual stream before the first layer and after each, (sequences, length, hidden) float32 on the CPU."""
        tokens = torch.from_numpy(rows.tokens)
        hidden = embedding(tokens, self._weight(EMBEDDING).float())
        yield hidden
        for index in range(self._plan.shape.num_hidden_layers):
            layer = self._layer(index)
            after = torch.empty_like(hidden)
            for number in range(len(tokens)):
                after[number] = self._through(layer, hidden[number : number + 1], rows, number)[0].cpu()
            hidden = after
            yield hidden

    @torch.inference_mode()
    def logits(self, hidden: torch.Tensor) -> Iterator[torch.Tensor]:
        """The logits of each sequence after the last layer, (length, vocab_size) float32 on the device."""
        norm = LlamaRMSNorm(self._config.hidden_size, eps=self._config.rms_norm_eps)
        norm.load_state_dict({"weight": self._weight(_FINAL_NORM).float()})
        norm = norm.to(self._device)
        is_tied = self._plan.shape.tie_word_embeddings
        head = self._weight(EMBEDDING if is_tied else LM_HEAD).float().to(self._device)
        for sequence in hidden:
            yield linear(norm(sequence.to(self._device)), head)

    def _layer(self, index: int) -> LlamaDecoderLayer:
        with torch.device("meta"):
            layer = LlamaDecoderLayer(self._config, index)
        names = [name for name in self._plan.tensors if name.startswith(f"{LAYER_PREFIX}{index}.")]
        weights = {split_layer(name)[1]: self._weight(name).float() for name in names}
        layer.load_state_dict(weights, assign=True)
        loaded: LlamaDecoderLayer = layer.eval().to(self._device)
        return loaded

    def _through(self, layer: LlamaDecoderLayer, hidden: torch.Tensor, rows: Rows, number: int) -> torch.Tensor:
        length = hidden.shape[1]
        moved = hidden.to(self._device)
        positions = torch.arange(length) if rows.positions is None else torch.from_numpy(rows.positions[number])
        positions = positions[None].to(self._device)
        mask = None
        if rows.documents is not None:
            documents = torch.from_numpy(rows.documents[number]).to(self._device)
            mask = (documents[:, None] == documents[None, :]).tril()[None, None]
        result: torch.Tensor = layer(
            moved,
            attention_mask=mask,
            position_ids=positions,
            position_embeddings=self._rotary(moved, position_ids=positions),
            use_cache=False,
        )
        return result
