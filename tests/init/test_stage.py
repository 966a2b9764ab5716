"""The init stage: from a recipe to one Hugging Face folder, checked against transformers itself."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, LlamaForCausalLM

from pretrain.errors import InputError, RecipeError
from pretrain.filehash import sha256_of_file
from pretrain.init import plan as plan_module
from pretrain.runner import LocalRunner
from tests.init.models import load, weights
from tests.init.tiny_models import (
    ARCHITECTURE,
    VOCAB_SIZE,
    byte_tokenizer,
    receipts,
    run_init,
    save_checkpoint,
)


def hashes(folder):
    return {path.name: sha256_of_file(path) for path in sorted(folder.iterdir())}


def in_layer(tensors, layer):
    prefix = f"model.layers.{layer}."
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def assert_same_generation_with_and_without_cache(model):
    rows = torch.tensor([[0, 7, 30, 41, 9]])
    texts = [
        model.generate(rows, max_new_tokens=12, min_new_tokens=12, do_sample=False, use_cache=use_cache)
        for use_cache in (True, False)
    ]
    assert torch.equal(texts[0], texts[1])
    with torch.inference_mode():
        cached, plain = (model(rows, use_cache=use_cache).logits for use_cache in (True, False))
    assert torch.equal(cached, plain)


# Random weights


def test_the_folder_is_complete_and_counted(tmp_path):
    folder, stats = run_init(tmp_path, {"architecture": ARCHITECTURE})
    model, tokenizer = load(folder), AutoTokenizer.from_pretrained(folder)
    assert isinstance(model, LlamaForCausalLM)
    assert tokenizer.decode(tokenizer.encode("wörld")) == "wörld"
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert stats["parameters"] == model.num_parameters() == sum(stats["parameters_by_kind"].values())
    assert stats["parameters_by_kind"]["embedding"] == VOCAB_SIZE * 32
    assert stats["parameters_by_kind"]["norm"] == 8 * 2 * 32 + 32
    assert (stats["num_hidden_layers"], stats["vocab_size"]) == (8, VOCAB_SIZE)
    layer = 2 * 32 * 32 + 2 * 16 * 32 + 3 * 32 * 64
    assert stats["flops_per_token"] == 6 * (8 * layer + VOCAB_SIZE * 32) + 12 * 8 * 32 * 64
    assert stats["flops_sequence_length"] == 64


def test_the_manifest_tells_sources_and_what_training_takes(tmp_path):
    save_checkpoint(tmp_path / "source")
    operations = [{"op": "drop_layers", "num_layers": 2}, {"op": "expand_blocks", "num_groups": 1}]
    _, stats = run_init(tmp_path, {"from": "source", "operations": operations})
    layer = 2 * 32 * 32 + 2 * 16 * 32 + 3 * 32 * 64 + 2 * 32
    parameters = 7 * layer + 32 + 2 * VOCAB_SIZE * 32
    assert stats["parameters"] == parameters
    assert stats["tokens_for_20x"] == 20 * parameters
    memory = stats["training_memory_bytes"]
    assert memory.pop("activations") > 0
    assert memory == {"weights": 4 * parameters, "gradients": 4 * parameters, "optimizer_states": 8 * parameters}
    size = {"vocab_size": VOCAB_SIZE, "num_hidden_layers": 7, "parameters": parameters}
    assert stats["operations"] == [
        {"op": "drop_layers", "dropped": [3, 4], **size, "num_hidden_layers": 6, "parameters": parameters - layer},
        {"op": "expand_blocks", "layers": [0, 1, 2, 3, 4, 5, 5], "added": [6], **size},
    ]
    assert stats["sources"].keys() == {"tokenizer", "model:from"}
    assert re.fullmatch("[0-9a-f]{32}", stats["sources"]["model:from"])


def test_all_files_have_the_same_permissions(tmp_path):
    folder, _ = run_init(tmp_path, {"architecture": ARCHITECTURE})
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1


def test_the_config_holds_the_recipes_and_the_tokenizers_values(tmp_path):
    folder, _ = run_init(tmp_path, {"architecture": {**ARCHITECTURE, "rope_theta": 5000.0, "rms_norm_eps": 1e-5}})
    config = load(folder).config
    assert config.rope_parameters == {"rope_type": "default", "rope_theta": 5000.0}
    assert {key: getattr(config, key) for key in ARCHITECTURE} == ARCHITECTURE
    assert (config.vocab_size, config.rms_norm_eps, config.dtype) == (VOCAB_SIZE, 1e-5, torch.float32)
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (0, 1, 2)
    generation = json.loads((folder / "generation_config.json").read_text())
    assert (generation["bos_token_id"], generation["eos_token_id"], generation["pad_token_id"]) == (0, 1, 2)


@pytest.mark.parametrize("changed", [{}, {"tie_word_embeddings": True}, {"attention_bias": True, "mlp_bias": True}])
def test_random_weights_are_those_that_transformers_would_draw(tmp_path, changed):
    architecture = {
        **ARCHITECTURE,
        "num_hidden_layers": 2,
        "hidden_size": 128,
        "intermediate_size": 256,
        **changed,
    }
    folder, _ = run_init(tmp_path, {"architecture": {**architecture, "initializer_range": 0.03}})
    made, reference = load(folder), LlamaForCausalLM(load(folder).config)  # the second is initialised anew
    expected = dict(reference.named_parameters())
    assert {name: parameter.shape for name, parameter in made.named_parameters()} == {
        name: parameter.shape for name, parameter in expected.items()
    }
    for name, parameter in made.named_parameters():
        if parameter.dim() == 2:
            assert parameter.std().item() == pytest.approx(expected[name].std().item(), rel=0.03), name
            assert parameter.std().item() == pytest.approx(0.03, rel=0.03), name
            assert abs(parameter.mean().item()) < 1e-3, name
        else:
            assert torch.equal(parameter, expected[name]), name
    zero_rows = made.model.embed_tokens.weight.abs().sum(1) == 0
    assert zero_rows.nonzero().flatten().tolist() == [2]  # the padding token's
    assert torch.equal(zero_rows, reference.model.embed_tokens.weight.abs().sum(1) == 0)


def test_an_eos_that_pads_as_well_is_not_frozen(tmp_path):
    folder, _ = run_init(tmp_path, {"architecture": ARCHITECTURE}, tokenizer=byte_tokenizer(pad_token="</s>"))
    model = load(folder)
    assert model.config.pad_token_id is None
    assert model.model.embed_tokens.weight[1].abs().sum() > 0


def test_the_seed_changes_the_weights_and_nothing_else(tmp_path):
    first, _ = run_init(tmp_path, {"architecture": ARCHITECTURE}, name="first")
    second, _ = run_init(tmp_path, {"architecture": ARCHITECTURE}, name="second", seed=1)
    before, after = hashes(first), hashes(second)
    assert [name for name in before if before[name] != after[name]] == ["model.safetensors"]


def test_bytes_are_equal_in_other_processes(tmp_path):
    operations = [
        {"op": "random", "scheme": "scaled"},
        {"op": "upscale_depth", "overlap": 6},
        {"op": "expand_blocks", "num_groups": 2},
        {"op": "cast", "dtype": "bfloat16"},
        {"op": "resize_vocab"},
    ]
    save_checkpoint(tmp_path / "source", vocab_size=261)
    byte_tokenizer(num_extra_tokens=2).save_pretrained(tmp_path / "source")
    config = {"from": "source", "operations": operations}
    inline, _ = run_init(tmp_path, config, name="inline")
    with LocalRunner(2) as runner:
        spawned, _ = run_init(tmp_path, config, name="spawned", runner=runner)
    assert hashes(inline) == hashes(spawned)


def test_bfloat16_is_the_rounded_float32(tmp_path):
    full, _ = run_init(tmp_path, {"architecture": ARCHITECTURE}, name="full")
    half, _ = run_init(tmp_path, {"architecture": ARCHITECTURE, "dtype": "bfloat16"}, name="half")
    assert load(half).dtype == torch.bfloat16
    exact = weights(full)
    assert all(torch.equal(tensor, exact[name].bfloat16()) for name, tensor in weights(half).items())


def test_large_models_are_cut_into_files_with_an_index(tmp_path, monkeypatch):
    whole, _ = run_init(tmp_path, {"architecture": ARCHITECTURE}, name="whole")
    monkeypatch.setattr(plan_module.weights_files, "__defaults__", (60_000,))
    cut, stats = run_init(tmp_path, {"architecture": ARCHITECTURE}, name="cut")
    names = [path.name for path in sorted(cut.glob("*.safetensors"))]
    assert len(names) > 3
    assert names[0] == f"model-00001-of-{len(names):05d}.safetensors"
    index = json.loads((cut / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {
        "total_parameters": stats["parameters"],
        "total_size": 4 * stats["parameters"],
    }
    assert set(index["weight_map"].values()) == set(names)
    expected, found = load(whole).state_dict(), load(cut).state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


# Operations


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(
    ("operation", "order"),
    [
        ({"op": "drop_layers", "num_layers": 2}, [0, 1, 2, 5, 6, 7]),
        ({"op": "drop_layers", "layers": [0, 7]}, [1, 2, 3, 4, 5, 6]),
        ({"op": "upscale_depth", "overlap": 2}, [0, 1, 2, 3, 4, 5, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_each_layer_equals_its_source_layer(tmp_path, operation, order, tied):
    source = save_checkpoint(tmp_path / "source", tie_word_embeddings=tied).state_dict()
    folder, stats = run_init(tmp_path, {"from": "source", "operations": [operation]})
    saved, model = weights(folder), load(folder)
    assert stats["num_hidden_layers"] == model.config.num_hidden_layers == len(order)
    for target, layer in enumerate(order):
        expected, found = in_layer(source, layer), in_layer(saved, target)
        assert set(found) == set(expected)
        assert all(torch.equal(found[name], expected[name]) for name in expected)
    for name in ("model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"):
        assert torch.equal(model.state_dict()[name], source[name])
    assert ("lm_head.weight" in saved) is not tied
    assert [layer.self_attn.layer_idx for layer in model.model.layers] == list(range(len(order)))


def test_no_two_tensors_share_storage_and_all_can_learn_alone(tmp_path):
    folder, stats = run_init(
        tmp_path, {"architecture": ARCHITECTURE, "operations": [{"op": "upscale_depth", "overlap": 2}]}
    )
    model = load(folder)
    parameters = list(model.parameters())
    assert len({parameter.data_ptr() for parameter in parameters}) == len(parameters)
    assert stats["parameters"] == sum(parameter.numel() for parameter in parameters)
    copies = [model.model.layers[layer].mlp.up_proj.weight for layer in (2, 6)]
    assert torch.equal(*copies)
    with torch.no_grad():
        copies[0].add_(1.0)
    assert not torch.equal(*copies)


@pytest.mark.parametrize("operation", [{"op": "drop_layers", "num_layers": 2}, {"op": "upscale_depth", "overlap": 2}])
def test_cached_generation_equals_uncached_and_a_reload_changes_nothing(tmp_path, operation):
    folder, _ = run_init(tmp_path, {"architecture": ARCHITECTURE, "operations": [operation]})
    model = load(folder)
    assert_same_generation_with_and_without_cache(model)
    model.save_pretrained(tmp_path / "again")
    assert sha256_of_file(tmp_path / "again" / "model.safetensors") == sha256_of_file(folder / "model.safetensors")
    assert json.loads((tmp_path / "again" / "config.json").read_text()) == json.loads(
        (folder / "config.json").read_text()
    )


def test_operations_run_in_order(tmp_path):
    save_checkpoint(tmp_path / "source")
    operations = [{"op": "drop_layers", "layers": [0, 1, 2, 3]}, {"op": "upscale_depth", "overlap": 1}]
    folder, _ = run_init(tmp_path, {"from": "source", "operations": operations})
    source, saved = weights(tmp_path / "source"), weights(folder)
    for target, layer in enumerate([4, 5, 6, 5, 6, 7]):
        name = "mlp.gate_proj.weight"
        assert torch.equal(saved[f"model.layers.{target}.{name}"], source[f"model.layers.{layer}.{name}"])


# From a checkpoint


def test_a_checkpoint_without_operations_is_the_same_model(tmp_path):
    model = save_checkpoint(tmp_path / "source", rope_parameters={"rope_type": "default", "rope_theta": 5e5}).eval()
    folder, _ = run_init(tmp_path, {"from": str(tmp_path / "source")})
    rows = torch.arange(40).reshape(2, 20)
    with torch.inference_mode():
        assert torch.equal(load(folder)(rows).logits, model(rows).logits)
    config = load(folder).config
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (0, 1, 2)


def test_an_old_config_and_saved_rotary_tables_are_understood(tmp_path):
    save_checkpoint(tmp_path / "source")
    path = tmp_path / "source" / "config.json"
    config = json.loads(path.read_text())
    del config["rope_parameters"], config["dtype"]
    path.write_text(json.dumps({**config, "rope_theta": 777.0, "torch_dtype": "float16", "_name_or_path": "/home/x"}))
    tensors = load_file(tmp_path / "source" / "model.safetensors")
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    save_file(tensors, tmp_path / "source" / "model.safetensors", metadata={"format": "pt"})
    folder, _ = run_init(tmp_path, {"from": "source"})
    assert load(folder).config.rope_parameters["rope_theta"] == 777.0
    assert load(folder).dtype == torch.float32
    assert "/home/x" not in (folder / "config.json").read_text()


def test_a_checkpoint_in_several_files(tmp_path):
    model = save_checkpoint(tmp_path / "source")
    (tmp_path / "source" / "model.safetensors").unlink()
    model.save_pretrained(tmp_path / "source", max_shard_size="60KB")
    folder, _ = run_init(tmp_path, {"from": "source"})
    expected = model.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(folder).items())


def test_another_vocabulary_is_refused(tmp_path):
    save_checkpoint(tmp_path / "source", vocab_size=300)
    with pytest.raises(InputError, match="vocab_size 300, but the tokenizer has 259 tokens"):
        run_init(tmp_path, {"from": "source"})


def test_another_architecture_is_refused(tmp_path):
    save_checkpoint(tmp_path / "source")
    path = tmp_path / "source" / "config.json"
    path.write_text(path.read_text().replace('"model_type": "llama"', '"model_type": "gpt2"'))
    with pytest.raises(InputError, match=r"source cannot be used: .*model_type 'gpt2'"):
        run_init(tmp_path, {"from": "source"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda tensors: tensors.pop("model.layers.3.mlp.up_proj.weight"),
            "lacks tensor model.layers.3.mlp.up_proj",
        ),
        (lambda tensors: tensors.update(extra=torch.ones(1)), "has the unknown tensor extra"),
        (
            lambda tensors: tensors.update({"model.norm.weight": torch.ones(31)}),
            r"shape \[31\], but .* says \[32\]",
        ),
    ],
)
def test_weights_that_do_not_fit_their_config_are_refused(tmp_path, change, message):
    save_checkpoint(tmp_path / "source")
    path = tmp_path / "source" / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match=message):
        run_init(tmp_path, {"from": "source"})


def test_truncated_weights_are_refused(tmp_path):
    save_checkpoint(tmp_path / "source")
    path = tmp_path / "source" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cannot read .*model\.safetensors"):
        run_init(tmp_path, {"from": "source"})


def test_an_operation_that_does_not_fit_the_checkpoint_is_refused(tmp_path):
    save_checkpoint(tmp_path / "source")
    with pytest.raises(RecipeError, match="the model has layers 0 to 7"):
        run_init(tmp_path, {"from": "source", "operations": [{"op": "drop_layers", "layers": [8]}]})


def test_completed_units_are_not_computed_again(tmp_path):
    folder, stats = run_init(tmp_path, {"architecture": ARCHITECTURE})
    written = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert [receipt.unit for receipt in receipts(tmp_path)] == ["config", "model", "tokenizer"]
    (folder / "config.json").unlink()
    _, again = run_init(tmp_path, {"architecture": ARCHITECTURE})
    rewritten = [path.name for path in sorted(folder.iterdir()) if path.stat().st_mtime_ns != written[path.name]]
    assert rewritten == ["config.json", "generation_config.json"]
    assert again == stats
