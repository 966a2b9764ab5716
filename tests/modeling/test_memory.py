"""The closed form against the tensors that autograd keeps of a real forward pass."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pretrain.modeling.memory import training_memory_bytes
from pretrain.modeling.parameters import parameters_by_kind
from pretrain.modeling.shape import ModelShape

TINY = {
    "model_type": "llama",
    "vocab_size": 256,
    "hidden_size": 128,
    "intermediate_size": 352,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
TOKENS = 2 * 128


def kept_bytes(config: dict, *, bf16: bool, gradient_checkpointing: bool) -> int:
    """Bytes of the storages that the backward pass of one batch needs, parameters left out."""
    values = LlamaConfig.from_dict(config)
    values._attn_implementation = "sdpa"
    model = LlamaForCausalLM(values)
    if gradient_checkpointing:
        # under its name of transformers 5.23, or the one before
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    model.train()
    parameters = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    storages = {}  # keeps them alive, so that no address is used twice

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            storages[storage.data_ptr()] = storage
        return tensor

    rows = torch.randint(0, config["vocab_size"], (2, 128))
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        model(rows, labels=rows, use_cache=False)
    return sum(storage.nbytes() for storage in storages.values())


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize(
    "changed", [{}, {"vocab_size": 4096}, {"num_hidden_layers": 8}, {"intermediate_size": 1024}, {"head_dim": 64}]
)
def test_activations_are_within_three_percent_of_what_autograd_keeps(bf16, changed):
    config = {**TINY, **changed}
    memory = training_memory_bytes(ModelShape.from_config(config), batch_size=2, sequence_length=128, bf16=bf16)
    # Of the logits only their log-softmax is kept; what else there is at the peak is in the estimate alone.
    transient = TOKENS * config["vocab_size"] * (4 + 2 * bf16)
    estimated = memory["activations"] + memory.get("bf16_weights", 0) - transient
    assert estimated == pytest.approx(kept_bytes(config, bf16=bf16, gradient_checkpointing=False), rel=0.03)


def test_with_gradient_checkpointing_only_the_inputs_of_layers_are_kept():
    shape = ModelShape.from_config(TINY)
    few, many = (
        training_memory_bytes(
            ModelShape.from_config({**TINY, "num_hidden_layers": layers}),
            batch_size=2,
            sequence_length=128,
            gradient_checkpointing=True,
        )["activations"]
        for layers in (4, 8)
    )
    measured = [
        kept_bytes({**TINY, "num_hidden_layers": layers}, bf16=False, gradient_checkpointing=True) for layers in (4, 8)
    ]
    assert many - few == 4 * TOKENS * shape.hidden_size * 4 == pytest.approx(measured[1] - measured[0], rel=0.02)


def test_weights_gradients_and_adam_take_sixteen_bytes_a_parameter():
    shape = ModelShape.from_config(TINY)
    memory = training_memory_bytes(shape, batch_size=1, sequence_length=8)
    parameters = sum(parameters_by_kind(shape).values())
    fixed = {name: value for name, value in memory.items() if name != "activations"}
    assert fixed == {"weights": 4 * parameters, "gradients": 4 * parameters, "optimizer_states": 8 * parameters}
    muon = training_memory_bytes(shape, batch_size=1, sequence_length=8, optimizer="muon")
    assert memory["optimizer_states"] - muon["optimizer_states"] == 4 * 4 * (
        2 * 128 * 128 + 2 * 64 * 128 + 3 * 352 * 128
    )
    assert "bf16_weights" in training_memory_bytes(shape, batch_size=1, sequence_length=8, bf16=True)
