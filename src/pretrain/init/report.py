"""What the manifest of an init artifact says of its model."""

from collections.abc import Mapping
from typing import Any

from pretrain.init.plan import ModelPlan
from pretrain.modeling.flops import training_flops_per_token
from pretrain.modeling.memory import training_memory_bytes
from pretrain.modeling.parameters import parameters_by_kind
from pretrain.stage import Stats

# Hoffmann et al. 2022 (arXiv 2203.15556), table 3: compute-optimal models see about 20 tokens a parameter.
TOKENS_PER_PARAMETER = 20


def count_model(plan: ModelPlan) -> Stats:
    """Size and cost of a model.

    Returns:
        `parameters`, `parameters_by_kind`, `num_hidden_layers`, `vocab_size`, `dtype`, `tokens_for_20x`;
        `flops_per_token` of training, the attention term included, at `flops_sequence_length`: the longest sequence
        that the model takes, as rows are packed elsewhere; and `training_memory_bytes` by component, activations for
        one such sequence in float32.
    """
    shape = plan.shape
    by_kind = parameters_by_kind(shape)
    parameters = sum(by_kind.values())
    length = shape.max_position_embeddings
    return {
        "parameters": parameters,
        "parameters_by_kind": by_kind,
        "tokens_for_20x": TOKENS_PER_PARAMETER * parameters,
        "flops_per_token": training_flops_per_token(shape, length),
        "flops_sequence_length": length,
        "training_memory_bytes": training_memory_bytes(shape, batch_size=1, sequence_length=length),
        "num_hidden_layers": shape.num_hidden_layers,
        "vocab_size": shape.vocab_size,
        "dtype": plan.dtype,
    }


def describe_operation(op: str, plan: ModelPlan, facts: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of `operations`: its name, what it did, and the model after it."""
    shape = plan.shape
    size = {
        "num_hidden_layers": shape.num_hidden_layers,
        "vocab_size": shape.vocab_size,
        "parameters": sum(parameters_by_kind(shape).values()),
    }
    return {"op": op, **facts, **size}
