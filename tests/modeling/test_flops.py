"""The closed form against torch's own count of a real forward and backward pass."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from pretrain.modeling.flops import training_flops_per_token
from pretrain.modeling.shape import ModelShape

TINY = {
    "model_type": "llama",
    "vocab_size": 256,
    "hidden_size": 64,
    "intermediate_size": 176,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


@pytest.mark.parametrize("sequence_length", [16, 128])
@pytest.mark.parametrize("changed", [{}, {"tie_word_embeddings": True}, {"head_dim": 32, "attention_bias": True}])
def test_closed_form_is_within_two_percent_of_the_counted_flops(sequence_length, changed):
    config = LlamaConfig.from_dict({**TINY, **changed})
    config._attn_implementation = "eager"  # the counter does not see into the fused CPU kernel
    rows = torch.randint(0, 256, (2, sequence_length))
    with FlopCounterMode(display=False) as counter:
        LlamaForCausalLM(config)(rows, labels=rows, use_cache=False).loss.backward()
    counted = counter.get_total_flops() / rows.numel()
    shape = ModelShape.from_config({**TINY, **changed})
    assert training_flops_per_token(shape, sequence_length) == pytest.approx(counted, rel=0.02)


def test_flops_of_the_courses_model_at_2048_tokens():
    course = {
        **{"model_type": "llama", "vocab_size": 32_000, "hidden_size": 1024, "intermediate_size": 4096},
        **{"num_hidden_layers": 12, "num_attention_heads": 32, "num_key_value_heads": 8},
    }
    matrices = 12 * (2_621_440 + 12_582_912) + 32_000 * 1024
    expected = 6 * matrices + 12 * 12 * 1024 * 2048
    assert training_flops_per_token(ModelShape.from_config(course), 2048) == expected == 1_593_311_232
