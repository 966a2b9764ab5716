"""The tensors of a Llama model by name, and its parameters by kind: closed forms that need no torch."""

import math
from typing import Literal

from pretrain.modeling.shape import ModelShape

Kind = Literal["embedding", "attention", "mlp", "norm", "lm_head"]
KINDS: tuple[Kind, ...] = ("embedding", "attention", "mlp", "norm", "lm_head")

EMBEDDING = "model.embed_tokens.weight"
LM_HEAD = "lm_head.weight"
LAYER_PREFIX = "model.layers."


def tensor_shapes(shape: ModelShape) -> dict[str, tuple[int, ...]]:
    """Every stored tensor with its shape, in the order of the forward pass.

    The names are those of transformers' LlamaForCausalLM. Weights of linear layers are (out, in). With tied
    embeddings there is no `lm_head.weight`: the embedding stands for it.
    """
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (shape.vocab_size, shape.hidden_size)}
    for layer in range(shape.num_hidden_layers):
        shapes.update((f"{LAYER_PREFIX}{layer}.{name}", size) for name, size in _layer_tensor_shapes(shape).items())
    shapes["model.norm.weight"] = (shape.hidden_size,)
    if not shape.tie_word_embeddings:
        shapes[LM_HEAD] = (shape.vocab_size, shape.hidden_size)
    return shapes


def tensor_kind(name: str) -> Kind:
    """The part of the model that a tensor of `tensor_shapes` belongs to."""
    if name == EMBEDDING:
        return "embedding"
    if name == LM_HEAD:
        return "lm_head"
    if "norm" in name.rsplit(".", 2)[-2]:
        return "norm"
    return "attention" if ".self_attn." in name else "mlp"


def split_layer(name: str) -> tuple[int | None, str]:
    """The layer of a tensor and its name inside it; None and the whole name for tensors outside of layers."""
    if not name.startswith(LAYER_PREFIX):
        return None, name
    layer, _, inner = name.removeprefix(LAYER_PREFIX).partition(".")
    return int(layer), inner


def parameters_by_kind(shape: ModelShape) -> dict[str, int]:
    """Number of parameters by kind. Tied embeddings count once, as embedding; the sum is the model's size."""
    counts: dict[str, int] = dict.fromkeys(KINDS, 0)
    for name, size in tensor_shapes(shape).items():
        counts[tensor_kind(name)] += math.prod(size)
    return counts


def _layer_tensor_shapes(shape: ModelShape) -> dict[str, tuple[int, ...]]:
    hidden, inner = shape.hidden_size, shape.intermediate_size
    queries = shape.num_attention_heads * shape.head_dim
    keys = shape.num_key_value_heads * shape.head_dim
    linears = {
        "self_attn.q_proj": (queries, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, queries),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    shapes: dict[str, tuple[int, ...]] = {}
    for name, size in linears.items():
        shapes[f"{name}.weight"] = size
        if shape.attention_bias if name.startswith("self_attn") else shape.mlp_bias:
            shapes[f"{name}.bias"] = size[:1]
    return {**shapes, "input_layernorm.weight": (hidden,), "post_attention_layernorm.weight": (hidden,)}
