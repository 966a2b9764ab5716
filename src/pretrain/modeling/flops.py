"""FLOPs of training, in closed form.

Source: PaLM (arXiv 2204.02311), appendix B: 6 N + 12 L H Q T per token, where N are the parameters that are
multiplied with. A multiply-add counts as two; the backward pass costs twice the forward pass. Attention is
counted in full, without halving it for the causal mask, and nothing that activation checkpointing or a fused
kernel computes a second time is counted: the convention of published MFU figures.
"""

import math

from pretrain.modeling.parameters import tensor_kind, tensor_shapes
from pretrain.modeling.shape import ModelShape


def training_flops_per_token(shape: ModelShape, sequence_length: int) -> int:
    """FLOPs of one forward and backward pass, per token.

    Args:
        shape: the model.
        sequence_length: tokens a sequence, or of a document where documents are kept apart; the attention term grows
            with it.
    """
    # An embedding is a look-up, norms and biases are no matrix products; a tied head multiplies all the same.
    matrices = sum(
        math.prod(size)
        for name, size in tensor_shapes(shape).items()
        if len(size) == 2 and tensor_kind(name) in ("attention", "mlp")
    )
    matrices += shape.vocab_size * shape.hidden_size
    attention = shape.num_hidden_layers * shape.num_attention_heads * shape.head_dim * sequence_length
    return 6 * matrices + 12 * attention
