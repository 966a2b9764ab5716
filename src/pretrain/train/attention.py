"""Attention within each document, for sequences that hold several which are kept apart.

A mask that keeps documents apart has every pair of a sequence computed, and most thrown away; on a GPU it also costs
the flash kernel, which takes no mask. `varlen` is told where documents begin instead, and computes the pairs within
them: by `torch.nn.attention.varlen` on a GPU, by `scaled_dot_product_attention` document after document on a CPU.
"""

from typing import Any

import torch
from torch import nn
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from pretrain.errors import StageError, UsageError
from pretrain.sequences import TokenSequences
from pretrain.train.batches import VARLEN, batch_of, model_inputs
from pretrain.train.sharding import release

_REFERENCE = "sdpa"
_ROWS_LOOKED_AT, _ROWS_COMPARED = 256, 2
# Of the size of a token's output. bfloat16 rounds to 0.4%; a neighbour that is seen changes it by about its size.
_MAX_DIFFERENCE = {torch.float32: 1e-4, torch.bfloat16: 0.05}


def use_varlen(model: PreTrainedModel, *, bf16: bool) -> None:
    """Has a model compute its attention within documents.

    Raises:
        UsageError: it drops attention weights at random, or is on a GPU in float32: the kernel does neither.
    """
    dropout = getattr(model.config, "attention_dropout", 0.0)
    if dropout:
        raise UsageError(
            "train.attention is 'varlen', which drops no attention weights, and the model's attention_dropout is "
            f"{dropout}: set train.attention to sdpa"
        )
    if model.device.type == "cuda" and not bf16:
        raise UsageError("train.attention is 'varlen', which a GPU computes in bfloat16 alone: set train.bf16 to true")
    AttentionInterface.register(VARLEN, attend_within_documents)
    model.set_attn_implementation(VARLEN)


def attend_within_documents(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers calls in every layer; as its `sdpa` does where no documents are named.

    Args:
        module: the layer's attention.
        query: (rows, heads, length, width).
        key: (rows, key_value_heads, length, width).
        value: the same.
        attention_mask: none where documents are named.
        **options: `scaling` of the scores; `cu_seq_lens_q`: where documents begin in the rows one after another, and
            the end, (documents + 1,) int32; `max_length_q`: no document is longer.

    Returns:
        (rows, length, heads, width), and no weights.
    """
    borders: torch.Tensor | None = options.get("cu_seq_lens_q")
    if borders is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    rows, heads, length, width = query.shape
    num_shared = heads // key.shape[1]
    key, value = (each.repeat_interleave(num_shared, dim=1) for each in (key, value))
    # Under autocast the rotation leaves query and key in float32, for which a GPU has no kernel.
    query, key, value = (each.to(value.dtype).transpose(1, 2).flatten(0, 1) for each in (query, key, value))
    scale: float | None = options.get("scaling")
    if query.device.type == "cpu":
        found = _one_after_another(query, key, value, borders, scale)
    else:
        longest: int = options["max_length_q"]
        causal = (-1, 0)
        found = varlen_attn(query, key, value, borders, borders, longest, longest, scale=scale, window_size=causal)  # type: ignore[assignment]
    return found.view(rows, length, heads, width), None


def _one_after_another(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, borders: torch.Tensor, scale: float | None
) -> torch.Tensor:
    # By `split`, whose gradient is put together once; that of a slice is as large as the whole.
    lengths: list[int] = borders.diff().tolist()
    split = [torch.split(each.transpose(0, 1)[None], lengths, dim=2) for each in (query, key, value)]
    found = [scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale) for q, k, v in zip(*split, strict=True)]
    return torch.cat(found, dim=2)[0].transpose(0, 1)


def require_documents_apart(model: PreTrainedModel, sequences: TokenSequences, *, bf16: bool) -> None:
    """Compares the first layer's attention with what a mask gives, on real sequences and on the device at hand.

    A kernel, or a version of transformers, that lets documents see each other trains on without a word.

    Raises:
        StageError: they differ by more than their rounding.
    """
    ids = sequences.documents(range(min(_ROWS_LOOKED_AT, len(sequences))))[1]
    most_documents_first = (-ids.max(axis=1)).argsort(kind="stable")
    batch = batch_of(sequences, most_documents_first[:_ROWS_COMPARED].tolist())
    was_training = model.training
    model.train(False)
    found = _first_attention(model, batch, bf16=bf16)
    model.set_attn_implementation(_REFERENCE)
    expected = _first_attention(model, batch, bf16=bf16)
    model.set_attn_implementation(VARLEN)
    model.train(was_training)
    release(model)
    difference = ((found - expected).norm(dim=-1) / expected.norm(dim=-1).clamp(min=1e-12)).max().item()
    if not difference <= _MAX_DIFFERENCE[torch.bfloat16 if bf16 else torch.float32]:
        raise StageError(
            f"with train.attention 'varlen' the first layer's attention differs by {difference:.2g} of its size from "
            "what a mask between documents gives, on this device with these versions of torch and transformers: set "
            "train.attention to sdpa"
        )


def _first_attention(model: PreTrainedModel, batch: dict[str, torch.Tensor], *, bf16: bool) -> torch.Tensor:
    """The output of the first layer's attention, (rows, length, hidden) float32."""
    seen: list[torch.Tensor] = []
    attention = next(module for module in model.modules() if type(module).__name__.endswith("Attention"))
    hook = attention.register_forward_hook(lambda _module, _inputs, output: seen.append(output[0].float()))
    moved = {name: value.to(model.device) for name, value in batch.items() if name != "labels"}
    try:
        with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
            inputs = model_inputs(moved, model.config._attn_implementation)
            model(**inputs, use_cache=False, logits_to_keep=1)
    finally:
        hook.remove()
    return seen[0]
