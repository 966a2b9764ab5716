"""The attention that a model is trained with: `causal`, or where documents are kept apart `sdpa` or `varlen`.

A model whose config.json names another than `sdpa` keeps it, unless the recipe says `varlen`.

causal: every token before a token. transformers' own `sdpa` is the same on paper, but makes a mask of it in a compiled
    model, for which there is no flash attention, and in another reads the positions back from the device to see that it
    needs none (transformers 5.17 to 5.23, `find_packed_sequence_indices`).
sdpa: all pairs of a sequence, under a mask that keeps documents apart.
varlen: the pairs within documents. It is told where they begin, and computes by `torch.nn.attention.varlen` on a GPU,
    by `scaled_dot_product_attention` document after document on a CPU.
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
from pretrain.train.batches import VARLEN, batch_of, first_tokens, model_inputs
from pretrain.train.config import TrainConfig
from pretrain.train.sharding import release

CAUSAL = "causal"
_MASKED = "sdpa"
# The mask that varlen is compared with takes memory that grows with the square of the tokens: 40 MB for so many.
_ROWS_LOOKED_AT, _ROWS_COMPARED, _TOKENS_COMPARED = 256, 2, 2048
# Of the size of a token's output. bfloat16 rounds to 0.4%; a neighbour that is seen changes it by about its size.
_MAX_DIFFERENCE = {torch.float32: 1e-4, torch.bfloat16: 0.05}


def choose_attention(model: PreTrainedModel, sequences: TokenSequences, config: TrainConfig) -> None:
    """Has a model compute the attention that sequences and recipe ask for, in training and in all that is made in it.

    Raises:
        UsageError: varlen is asked for and cannot be had, see `use_varlen`.
        StageError: documents see each other by varlen here, see `require_documents_apart`.
    """
    if not sequences.index.isolate_documents:
        if model.config._attn_implementation == _MASKED:
            # A name that transformers knows no mask for: it makes none, and leaves causality to the kernel.
            AttentionInterface.register(CAUSAL, sdpa_attention_forward)
            model.set_attn_implementation(CAUSAL)
    elif config.attention == VARLEN:
        use_varlen(model, bf16=config.bf16)
        require_documents_apart(model, sequences, bf16=config.bf16)


def use_varlen(model: PreTrainedModel, *, bf16: bool) -> None:
    """Has a model compute its attention within documents.

    Raises:
        UsageError: it drops or hands out attention weights, or is on a GPU in float32: the kernel does none of it.
    """
    dropout = getattr(model.config, "attention_dropout", 0.0)
    if dropout:
        raise UsageError(
            "train.attention is 'varlen', which drops no attention weights, and the model's attention_dropout is "
            f"{dropout}: set train.attention to sdpa"
        )
    if getattr(model.config, "output_attentions", False):
        raise UsageError(
            "train.attention is 'varlen', which hands out no attention weights, and the model's config.json has "
            "output_attentions true: set train.attention to sdpa, or output_attentions to false"
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
    """What transformers calls in every layer.

    Without borders, as when `sample_prompts` are gone on from, all is one document, and attention is `causal`.

    Args:
        module: the layer's attention.
        query: (rows, heads, length, width).
        key: (rows, key_value_heads, length, width).
        value: the same.
        attention_mask: none.
        **options: `scaling` of the scores; `cu_seq_lens_q`: where documents begin in the rows one after another, and
            the end, (documents + 1,) int32; `max_length_q`: no document is longer.

    Returns:
        (rows, length, heads, width), and no weights.

    Raises:
        StageError: the model is in training and is not told of documents: they would see each other.
    """
    borders: torch.Tensor | None = options.get("cu_seq_lens_q")
    if borders is None:
        if module.training:
            raise StageError(
                "the installed transformers does not tell the attention where documents begin: set train.attention to "
                "sdpa, or use a version that this one names in its pyproject.toml"
            )
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    rows, heads, length, width = query.shape
    # Under autocast the rotation leaves query and key in float32, for which a GPU has no kernel.
    query, key, value = (each.to(value.dtype).transpose(1, 2).flatten(0, 1) for each in (query, key, value))
    if heads > key.shape[1]:  # torch 2.11's kernel has no shared heads
        key, value = (each.repeat_interleave(heads // each.shape[1], dim=1) for each in (key, value))
    scale: float | None = options.get("scaling")
    if query.device.type == "cpu":
        found = _one_after_another(query, key, value, borders, scale)
    else:
        causal, longest = (-1, 0), int(options["max_length_q"])
        found = varlen_attn(query, key, value, borders, borders, longest, longest, scale=scale, window_size=causal)
    return found.view(rows, length, heads, width), None


@torch.compiler.disable  # type: ignore[untyped-decorator]  # or it is compiled anew for every list of lengths
def _one_after_another(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, borders: torch.Tensor, scale: float | None
) -> torch.Tensor:
    # By `split`, whose gradient is put together once; that of a slice is as large as the whole.
    lengths: list[int] = borders.diff().tolist()
    split = [torch.split(each.transpose(0, 1)[None], lengths, dim=2) for each in (query, key, value)]
    found = [scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale) for q, k, v in zip(*split, strict=True)]
    return torch.cat(found, dim=2)[0].transpose(0, 1)


def require_documents_apart(model: PreTrainedModel, sequences: TokenSequences, *, bf16: bool) -> None:
    """Compares the first layer's varlen attention with what a mask gives, on real sequences and the device at hand.

    A kernel, or a version of transformers, that lets documents see each other trains on without a word. Of two
    sequences with many documents their first 2,048 tokens are looked at, in a forward pass.

    Raises:
        UsageError: the kernel cannot be had here.
        StageError: they differ by more than their rounding.
    """
    ids = sequences.documents(range(min(_ROWS_LOOKED_AT, len(sequences))))[1]
    most_documents_first = (-ids[:, :_TOKENS_COMPARED].max(axis=1)).argsort(kind="stable")
    batch = first_tokens(batch_of(sequences, most_documents_first[:_ROWS_COMPARED].tolist()), _TOKENS_COMPARED)
    was_training = model.training
    model.train(False)
    try:
        found = _first_attention(model, batch, bf16=bf16)
    except (RuntimeError, ValueError) as error:  # of torch: the kind of device, the width of a head, no memory
        raise UsageError(
            f"train.attention 'varlen' cannot be computed on {model.device}, with heads {model.config.head_dim} wide: "
            f"{error}; set train.attention to sdpa"
        ) from error
    model.set_attn_implementation(_MASKED)
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
