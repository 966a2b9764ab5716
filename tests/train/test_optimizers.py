"""Muon for the hidden matrices and AdamW for the rest, as two optimizers of torch would do it side by side."""

import copy

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pretrain.train.config import TrainConfig
from pretrain.train.optimizers import Muon, muon_with_adamw
from tests.train.killing import train_here
from tests.train.test_stopping import SignalAt, Stopped
from tests.train.tiny_training import context_in

CONFIG = TrainConfig(max_steps=10, optimizer="muon", learning_rate=0.01, weight_decay=0.1, adam_beta2=0.95)


def make_model(**values):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=40, **sizes, **values))


def decayed(model):
    return [name for name, parameter in model.named_parameters() if parameter.dim() == 2]


@pytest.mark.parametrize("is_tied", [True, False])
def test_matrices_of_the_layers_go_to_muon_and_all_else_to_adamw(is_tied):
    model = make_model(tie_word_embeddings=is_tied)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    optimizer = muon_with_adamw(model, CONFIG, decayed(model))
    by_muon, by_adamw = (
        {names[id(p)] for group in optimizer.param_groups if group["is_muon"] is muon for p in group["params"]}
        for muon in (True, False)
    )
    kinds = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    assert {name.split(".")[-2] for name in by_muon} == set(kinds) and len(by_muon) == 2 * len(kinds)
    heads = set() if is_tied else {"lm_head.weight"}
    assert {name for name in by_adamw if "norm" not in name} == {"model.embed_tokens.weight"} | heads
    assert by_muon | by_adamw == set(names.values())
    decay = {names[id(p)]: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert {name for name, value in decay.items() if value == 0} == {name for name in names.values() if "norm" in name}


def steps(model, optimizers, count, seed):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        tokens = torch.randint(0, 40, (2, 8), generator=generator)
        model(tokens, labels=tokens, use_cache=False).loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        model.zero_grad()


def test_one_optimizer_does_what_two_do():
    one, two = make_model(), make_model()
    steps(one, [muon_with_adamw(one, CONFIG, decayed(one))], 4, seed=0)
    hidden = [p for name, p in two.named_parameters() if p.dim() == 2 and "proj" in name]
    rest = [p for name, p in two.named_parameters() if p.dim() == 2 and "proj" not in name]
    norms = [p for p in two.parameters() if p.dim() == 1]
    muon = Muon(hidden, lr=0.01, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    groups = [{"params": rest, "weight_decay": 0.1}, {"params": norms, "weight_decay": 0.0}]
    steps(two, [muon, torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95), eps=1e-8, fused=True)], 4, seed=0)
    for name, parameter in one.named_parameters():
        assert torch.equal(parameter, two.get_parameter(name)), name


def test_its_state_is_loaded_as_it_was_saved():
    whole, model = make_model(), make_model()
    optimizer = muon_with_adamw(whole, CONFIG, decayed(whole))
    steps(whole, [optimizer], 3, seed=0)
    saved, weights = copy.deepcopy((optimizer.state_dict(), whole.state_dict()))
    other = muon_with_adamw(model, CONFIG, decayed(model))
    other.load_state_dict(saved)
    model.load_state_dict(weights)
    steps(whole, [optimizer], 3, seed=1)
    steps(model, [other], 3, seed=1)
    assert all(torch.equal(p, model.get_parameter(name)) for name, p in whole.named_parameters())


def test_a_resume_is_exact(tmp_path):
    undisturbed = train_here(context_in(tmp_path / "undisturbed", optimizer="muon", max_steps=14))
    context = context_in(tmp_path / "stopped", optimizer="muon", max_steps=14)
    with pytest.raises(Stopped):
        train_here(context, [SignalAt("on_substep_end", 5)])
    assert train_here(context) == undisturbed
    assert undisturbed["loss_final"] < 2.5


@pytest.mark.parametrize("shape", [(24, 16), (16, 24), (16, 16)])
def test_on_a_cpu_muon_is_that_of_torch_but_for_the_rounding_of_bfloat16(shape):
    torch.manual_seed(0)
    start, gradients = torch.randn(shape), torch.randn(3, *shape)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    for matrix, optimizer in (
        (ours, Muon([ours], lr=0.1, adjust_lr_fn="match_rms_adamw")),
        (theirs, torch.optim.Muon([theirs], lr=0.1, adjust_lr_fn="match_rms_adamw")),
    ):
        for gradient in gradients:
            matrix.grad = gradient.clone()
            optimizer.step()
    assert (start - theirs).abs().mean() > 0.02
    assert (ours - theirs).abs().max() < 0.02 * (start - theirs).abs().max()
