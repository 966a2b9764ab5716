"""What operations do to a model's logits and weights, told by transformers' own model of the saved folder."""

import pytest
import torch

from pretrain.errors import InputError, RecipeError
from tests.init.models import assert_sound, load, logits, weights
from tests.init.tiny_models import ARCHITECTURE, byte_tokenizer, run_init, save_checkpoint

EXPAND = {"op": "expand_blocks", "num_groups": 4}


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "random", "scheme": "scaled"}],
        [{"op": "drop_layers", "num_layers": 3, "strategy": "uniform"}],
        [{"op": "upscale_depth", "overlap": 3}],
        [{**EXPAND, "num_copies": 2}],
        [{"op": "cast", "dtype": "bfloat16"}],
        [{"op": "tie"}],
        [{"op": "tie", "keep": "lm_head"}, {"op": "untie"}],
        [{"op": "drop_layers", "layers": [1, 2]}, {"op": "upscale_depth", "overlap": 2}, EXPAND, {"op": "tie"}],
    ],
)
def test_after_every_operation_a_model_is_sound(tmp_path, operations):
    save_checkpoint(tmp_path / "source")
    folder, _ = run_init(tmp_path, {"from": "source", "operations": operations})
    assert_sound(folder)


# expand_blocks


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("changed", [{}, {"tie_word_embeddings": True}, {"attention_bias": True, "mlp_bias": True}])
def test_expansion_leaves_every_logit_exactly_as_it_was(tmp_path, dtype, changed):
    save_checkpoint(tmp_path / "source", **changed)
    before, _ = run_init(tmp_path, {"from": "source", "dtype": dtype}, name="before")
    config = {"from": "source", "dtype": dtype, "operations": [{**EXPAND, "num_copies": 2}]}
    after, stats = run_init(tmp_path, config, name="after")
    assert load(after).dtype == getattr(torch, dtype)
    assert (logits(load(after)) - logits(load(before))).abs().max().item() == 0.0
    assert stats["num_hidden_layers"] == 16
    assert stats["operations"][0]["added"] == [2, 3, 6, 7, 10, 11, 14, 15]


def test_the_copies_learn_from_the_first_step(tmp_path):
    save_checkpoint(tmp_path / "source")
    folder, _ = run_init(tmp_path, {"from": "source", "operations": [EXPAND]})
    model = load(folder)
    model(torch.arange(20)[None], labels=torch.arange(20)[None]).loss.backward()
    copy = model.model.layers[2]
    assert all(weight.grad.abs().sum() > 0 for weight in (copy.self_attn.o_proj.weight, copy.mlp.down_proj.weight))
    assert torch.equal(copy.mlp.up_proj.weight, model.model.layers[1].mlp.up_proj.weight)


# random


def test_scaled_weights_are_the_drawn_ones_over_sqrt_2_l(tmp_path):
    config = {"architecture": ARCHITECTURE, "operations": [{"op": "random", "scheme": "scaled", "std": 0.08}]}
    scaled, _ = run_init(tmp_path, config, name="scaled")
    plain, _ = run_init(tmp_path, {"architecture": {**ARCHITECTURE, "initializer_range": 0.08}}, name="plain")
    expected = weights(plain)
    for name, tensor in weights(scaled).items():
        is_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
        torch.testing.assert_close(tensor, expected[name] / (16**0.5 if is_residual else 1), rtol=1e-6, atol=0)


def test_random_keeps_the_shape_of_a_checkpoint_and_nothing_of_its_weights(tmp_path):
    save_checkpoint(tmp_path / "source", rms_norm_eps=1e-3)
    folder, _ = run_init(tmp_path, {"from": "source", "operations": [{"op": "random", "seed": 5}]}, name="a")
    drawn, _ = run_init(tmp_path, {"architecture": ARCHITECTURE}, name="b", seed=5)
    assert load(folder).config.rms_norm_eps == 1e-3
    expected = weights(drawn)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(folder).items())


# cast, tie, untie


def test_what_a_cast_rounded_stays_rounded(tmp_path):
    source = save_checkpoint(tmp_path / "source").state_dict()
    casts = [{"op": "cast", "dtype": "bfloat16"}, {"op": "cast", "dtype": "float32"}]
    folder, stats = run_init(tmp_path, {"from": "source", "operations": casts})
    assert stats["dtype"] == "float32"
    assert all(torch.equal(tensor, source[name].bfloat16().float()) for name, tensor in weights(folder).items())
    half, stats = run_init(tmp_path, {"from": "source", "operations": casts[:1]}, name="half")
    assert (stats["dtype"], load(half).dtype) == ("bfloat16", torch.bfloat16)


def test_untying_changes_no_logit_and_lets_both_matrices_learn(tmp_path):
    source = save_checkpoint(tmp_path / "source", tie_word_embeddings=True).eval()
    folder, stats = run_init(tmp_path, {"from": "source", "operations": [{"op": "untie"}]})
    model = load(folder)
    assert torch.equal(logits(model), logits(source))
    assert stats["parameters"] == source.num_parameters() + 259 * 32
    with torch.no_grad():
        model.lm_head.weight.zero_()
    assert torch.equal(model.model.embed_tokens.weight, source.model.embed_tokens.weight)


@pytest.mark.parametrize("keep", ["embedding", "lm_head"])
def test_tying_makes_one_matrix_both(tmp_path, keep):
    source = save_checkpoint(tmp_path / "source").eval()
    folder, stats = run_init(tmp_path, {"from": "source", "operations": [{"op": "tie", "keep": keep}]})
    kept = source.model.embed_tokens.weight if keep == "embedding" else source.lm_head.weight
    with torch.no_grad():
        source.model.embed_tokens.weight.copy_(kept)
        source.lm_head.weight.copy_(kept)
    assert torch.equal(logits(load(folder)), logits(source))
    assert stats["parameters_by_kind"]["lm_head"] == 0


@pytest.mark.parametrize(("operation", "tied"), [("tie", True), ("untie", False)])
def test_tying_twice_is_refused(tmp_path, operation, tied):
    save_checkpoint(tmp_path / "source", tie_word_embeddings=tied)
    with pytest.raises(RecipeError, match="leave the operation out"):
        run_init(tmp_path, {"from": "source", "operations": [{"op": operation}]})


# resize_vocab


def rows_of(folder, name="model.embed_tokens.weight"):
    return weights(folder)[name]


@pytest.mark.parametrize("new_tokens", ["mean", "pieces"])
@pytest.mark.parametrize("tied", [False, True])
def test_kept_tokens_keep_their_rows_and_new_ones_are_means(tmp_path, new_tokens, tied):
    source = save_checkpoint(tmp_path / "source", tie_word_embeddings=tied)
    byte_tokenizer().save_pretrained(tmp_path / "source")
    tokenizer = byte_tokenizer(num_extra_tokens=2)  # the same 259 tokens, then `extra0` and `extra1`
    config = {"from": "source", "operations": [{"op": "resize_vocab", "new_tokens": new_tokens}]}
    folder, stats = run_init(tmp_path, config, tokenizer=tokenizer)
    assert_sound(folder)
    assert (stats["vocab_size"], stats["operations"][0]["tokens_kept"]) == (261, 259)
    spelled = [byte_tokenizer().encode(text) for text in ("extra0", "extra1")]
    for name in ["model.embed_tokens.weight"] + ([] if tied else ["lm_head.weight"]):
        old, new = source.state_dict()[name], rows_of(folder, name)
        assert torch.equal(new[:259], old)
        for row, ids in zip(new[259:], spelled, strict=True):
            torch.testing.assert_close(row, old.mean(0) if new_tokens == "mean" else old[ids].mean(0))
    model, kept = load(folder), logits(source.eval())
    torch.testing.assert_close(logits(model)[..., :259], kept)


def test_tokens_move_with_their_names(tmp_path):
    source = save_checkpoint(tmp_path / "source", vocab_size=261)
    byte_tokenizer(num_extra_tokens=2).save_pretrained(tmp_path / "source")
    config = {"from": "source", "operations": [{"op": "resize_vocab"}]}
    folder, _ = run_init(tmp_path, config, tokenizer=byte_tokenizer(special_tokens=["<pad>", "<s>", "</s>"]))
    old, new = source.state_dict()["model.embed_tokens.weight"], rows_of(folder)
    assert torch.equal(new[:3], old[[2, 0, 1]])
    assert torch.equal(new[3:], old[3:259])
    config = load(folder).config
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id, config.vocab_size) == (1, 2, 0, 259)


def test_a_checkpoint_without_tokenizer_cannot_be_resized(tmp_path):
    save_checkpoint(tmp_path / "source")
    with pytest.raises(InputError, match=r"no tokenizer\.json: save the tokenizer beside the weights"):
        run_init(tmp_path, {"from": "source", "operations": [{"op": "resize_vocab"}]})
