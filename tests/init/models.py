"""Saved models as tests look at them."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaForCausalLM

ROWS = torch.tensor([[0, 7, 30, 41, 9, 200, 3, 17]])


def load(folder: Path) -> LlamaForCausalLM:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for path in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(path).items()}


def logits(model: LlamaForCausalLM, rows: torch.Tensor = ROWS) -> torch.Tensor:
    with torch.inference_mode():
        return model(rows, use_cache=False).logits


def assert_sound(folder: Path) -> None:
    """What holds of every model: layers count through, no storage is shared, caching and reloading change nothing."""
    model = load(folder)
    assert [layer.self_attn.layer_idx for layer in model.model.layers] == list(range(model.config.num_hidden_layers))
    parameters = list(model.parameters())  # a tied head is no parameter of its own
    assert len({parameter.data_ptr() for parameter in parameters}) == len(parameters)
    is_shared = model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    assert is_shared == model.config.tie_word_embeddings
    assert sum(parameter.numel() for parameter in parameters) == sum(w.numel() for w in weights(folder).values())
    texts = [
        model.generate(ROWS, max_new_tokens=12, min_new_tokens=12, do_sample=False, use_cache=use_cache)
        for use_cache in (True, False)
    ]
    assert torch.equal(texts[0], texts[1])
    with torch.inference_mode():
        assert torch.equal(model(ROWS, use_cache=True).logits, logits(model))
    again = folder.parent.parent / "again"
    model.save_pretrained(again)
    saved, first = weights(again), weights(folder)
    assert saved.keys() == first.keys()
    assert all(torch.equal(saved[name], first[name]) and saved[name].dtype == first[name].dtype for name in first)
    assert torch.equal(logits(load(again)), logits(model))
