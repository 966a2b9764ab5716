"""Memory that training takes on one device, by component, in closed form.

Weights, gradients and AdamW's two moments are float32: 4 + 4 + 8 bytes a parameter, the 16 of mixed precision in ZeRO
(arXiv 1910.02054, section 3.1), with the weights themselves as master copy. Under bf16 autocast the matrices stand
beside them in bfloat16.

Activations are those that the backward pass of transformers' LlamaForCausalLM needs, counted tensor by tensor as in
Korthikanti et al. (arXiv 2205.05198, section 4.1), for its gated MLP, its norms in float32 and a fused attention that
keeps no score matrix. Not counted: what a kernel, the allocator or the framework takes for itself, 0.5 to 1 GB on CUDA.
"""

import math
from typing import Literal

from pretrain.modeling.parameters import parameters_by_kind, tensor_kind, tensor_shapes
from pretrain.modeling.shape import ModelShape

_FLOAT32_BYTES = 4


def training_memory_bytes(
    shape: ModelShape,
    *,
    batch_size: int,
    sequence_length: int,
    bf16: bool = False,
    gradient_checkpointing: bool = False,
    optimizer: Literal["adamw", "muon"] = "adamw",
) -> dict[str, int]:
    """Bytes by component, whose sum is the estimate.

    Args:
        shape: the model.
        batch_size: sequences in one forward pass.
        sequence_length: tokens a sequence.
        bf16: forward and backward in bfloat16 by autocast, weights in float32.
        gradient_checkpointing: only the inputs of layers are kept, and one layer at a time is computed again.
        optimizer: AdamW, or Muon for the matrices of layers, which has one moment of them, and AdamW for the rest.

    Returns:
        `weights`, `gradients`, `optimizer_states` and `activations`; with bf16 also `bf16_weights`.
    """
    parameters = sum(parameters_by_kind(shape).values())
    layer_matrices = _matrix_elements(shape) - shape.vocab_size * shape.hidden_size
    fixed = {
        "weights": 4 * parameters,
        "gradients": 4 * parameters,
        "optimizer_states": 8 * parameters - (4 * layer_matrices if optimizer == "muon" else 0),
    }
    if bf16:
        fixed["bf16_weights"] = 2 * _matrix_elements(shape)
    tokens = batch_size * sequence_length
    element_bytes = 2 if bf16 else _FLOAT32_BYTES
    layer = _layer_bytes_per_token(shape, element_bytes)
    if gradient_checkpointing:
        layers = _FLOAT32_BYTES * shape.hidden_size * shape.num_hidden_layers + layer
    else:
        layers = layer * shape.num_hidden_layers
    return {**fixed, "activations": tokens * (layers + _head_bytes_per_token(shape, element_bytes))}


def _matrix_elements(shape: ModelShape) -> int:
    """Elements of the matrices that are multiplied with; a tied embedding is one of them."""
    matrices = sum(
        math.prod(size)
        for name, size in tensor_shapes(shape).items()
        if len(size) == 2 and tensor_kind(name) in ("attention", "mlp")
    )
    return matrices + shape.vocab_size * shape.hidden_size


def _layer_bytes_per_token(shape: ModelShape, element_bytes: int) -> int:
    hidden, inner = shape.hidden_size, shape.intermediate_size
    queries, keys = shape.num_attention_heads * shape.head_dim, shape.num_key_value_heads * shape.head_dim
    # Each of two norms keeps its input and its input over the root mean square. Their products are the inputs of linear
    # layers, kept once each; autocast makes a copy in bfloat16 for each of q, k, v, gate and up.
    num_copies = 2 if element_bytes == _FLOAT32_BYTES else 5
    norms = 2 * 2 * hidden * _FLOAT32_BYTES + num_copies * hidden * element_bytes
    attention = 2 * queries + 2 * keys  # queries and result, which o_proj reads; keys and values
    mlp = 4 * inner  # gate, silu(gate), up, and their product, which down_proj reads
    return norms + (attention + mlp) * element_bytes


def _head_bytes_per_token(shape: ModelShape, element_bytes: int) -> int:
    norm = 2 * shape.hidden_size * _FLOAT32_BYTES + shape.hidden_size * element_bytes
    # At the peak there are logits in float32, then their gradient, beside their log-softmax; and those in bfloat16.
    half = 0 if element_bytes == _FLOAT32_BYTES else shape.vocab_size * element_bytes
    return norm + half + 2 * shape.vocab_size * _FLOAT32_BYTES
