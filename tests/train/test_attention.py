"""The attention that is trained with: no mask where none is needed, and within documents the same as by a mask."""

import json
from functools import partial

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._python_dispatch import TorchDispatchMode

from pretrain.errors import StageError, UsageError
from pretrain.sequences import TokenSequences
from pretrain.store import LocalStore
from pretrain.train import attention as attention_module
from pretrain.train.attention import attend_within_documents, choose_attention, require_documents_apart, use_varlen
from pretrain.train.batches import batch_of, model_inputs
from pretrain.train.config import TrainConfig
from tests.train.killing import train_here
from tests.train.test_isolation import TEXTS, make_model, packed, rows
from tests.train.test_stopping import SignalAt, Stopped
from tests.train.tiny_training import make_context, make_init

TRAINED = TrainConfig(max_steps=20)


def sequences_of(folder, **config):
    return TokenSequences.from_artifact(packed(folder, TEXTS * 2, **config), "train")


def attention_calls(model, **options):
    """The mask and is_causal of each attention in the graph of a compiled model, forward in training."""
    torch._dynamo.reset()
    found = []

    def look(graph, inputs):
        for node in graph.graph.nodes:
            if "scaled_dot_product_attention" in str(node.target):
                found.append((node.kwargs.get("attn_mask"), node.kwargs.get("is_causal")))
        return graph.forward

    tokens = torch.arange(3, 35).reshape(2, 16)
    torch.compile(model, backend=look)(input_ids=tokens, labels=tokens, use_cache=False)
    return found


def test_a_compiled_model_asks_for_causal_attention_and_makes_no_mask(tmp_path):
    """For a mask there is no flash attention. transformers' own sdpa makes one; where it no more does, ours can go."""
    model = make_model("sdpa").train()
    ((mask, _), *_) = attention_calls(model)
    assert mask is not None
    choose_attention(model, sequences_of(tmp_path, isolate_documents=False), TRAINED)
    assert attention_calls(model) == [(None, True)] * 3


class ReadsOfTheHost(TorchDispatchMode):
    """Counts what makes the host wait for the device."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.is_nonzero.default)
        return function(*args, **(kwargs or {}))


def test_an_attention_that_the_model_names_itself_is_kept(tmp_path):
    model = make_model("eager")
    choose_attention(model, sequences_of(tmp_path, isolate_documents=False), TRAINED)
    assert model.config._attn_implementation == "eager"


def test_no_forward_or_backward_pass_waits_for_the_device(tmp_path):
    model = make_model("sdpa").train()
    choose_attention(model, sequences_of(tmp_path, isolate_documents=False), TRAINED)
    tokens = torch.arange(3, 35).reshape(2, 16)
    with ReadsOfTheHost() as reads:
        model(input_ids=tokens, labels=tokens, use_cache=False).loss.backward()
    assert reads.count == 0


def test_causal_is_what_sdpa_computes_to_the_bit(tmp_path):
    tokens = torch.arange(3, 35).reshape(2, 16)
    losses, texts = [], []
    for is_chosen in (False, True):
        model = make_model("sdpa")
        if is_chosen:
            choose_attention(model, sequences_of(tmp_path, isolate_documents=False), TRAINED)
            assert model.config._attn_implementation == "causal"
        losses.append(model.train()(input_ids=tokens, labels=tokens, use_cache=False).loss)
        texts.append(model.eval().generate(tokens[:1], max_new_tokens=8, do_sample=False))
    assert torch.equal(*losses) and torch.equal(*texts)


def test_what_is_compiled_takes_borders_of_any_number_of_documents_without_compiling_anew(tmp_path):
    batches = [rows(packed(tmp_path / str(n), TEXTS[:n], sequence_length=96)) for n in (2, 3, 4)]
    compiled = []

    def look(graph, inputs):
        compiled.append(graph)
        return graph.forward

    torch._dynamo.reset()
    of_borders = torch.compile(lambda borders: borders.diff().max(), backend=look)
    for batch in batches:
        of_borders(model_inputs(batch, "varlen", is_compiled=True)["cu_seq_lens_q"])
    assert len(compiled) == 1


def test_gradients_are_those_by_a_mask(tmp_path):
    batch = rows(packed(tmp_path, TEXTS * 2))
    found = {}
    for name in ("sdpa", "varlen"):
        model = make_model(name).train()
        model(**model_inputs(batch, name), use_cache=False).loss.backward()
        found[name] = {key: parameter.grad for key, parameter in model.named_parameters()}
    for key, expected in found["sdpa"].items():
        assert torch.allclose(found["varlen"][key], expected, atol=1e-6), key


def test_without_borders_it_is_what_sdpa_computes(tmp_path):
    """As for the texts of `sample_prompts`, token by token."""
    tokens = torch.arange(3, 40)[None]
    found = [make_model(name).eval().generate(tokens, max_new_tokens=8, do_sample=False) for name in ("sdpa", "varlen")]
    assert torch.equal(*found)


def test_on_a_device_that_is_no_cpu_torchs_kernel_is_asked_for_causal_attention_within_borders(monkeypatch):
    """torch's own shape function takes the call; the kernel wants a GPU."""
    asked = []
    kernel = attention_module.varlen_attn
    monkeypatch.setattr(
        attention_module, "varlen_attn", lambda *args, **options: asked.append(options) or kernel(*args, **options)
    )
    make = partial(torch.zeros, device="meta")
    query = make(2, 4, 8, 16)  # float32, as the rotation leaves it under autocast
    key, value = make(2, 2, 8, 16), make(2, 2, 8, 16, dtype=torch.bfloat16)
    borders = make(4, dtype=torch.int32)
    options = {"scaling": 0.25, "cu_seq_lens_q": borders, "max_length_q": 8, "dropout": 0.0}
    found, weights = attend_within_documents(torch.nn.Module(), query, key, value, None, **options)
    assert (found.shape, found.dtype, weights) == ((2, 8, 4, 16), torch.bfloat16, None)
    assert asked == [{"scale": 0.25, "window_size": (-1, 0)}]


@pytest.mark.parametrize("bf16", [False, True])
def test_what_a_mask_gives_passes_the_check_and_leaves_the_model_as_it_was(tmp_path, bf16):
    model = make_model("varlen").train()
    state = torch.random.get_rng_state()
    require_documents_apart(model, sequences_of(tmp_path), bf16=bf16)
    assert (model.training, model.config._attn_implementation) == (True, "varlen")
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("bf16", [False, True])
def test_a_kernel_by_which_documents_see_each_other_is_refused(tmp_path, monkeypatch, bf16):
    def leaking(query, key, value, borders, scale):
        heads = [part.transpose(0, 1)[None] for part in (query, key, value)]
        return scaled_dot_product_attention(*heads, is_causal=True, scale=scale)[0].transpose(0, 1)

    monkeypatch.setattr(attention_module, "_one_after_another", leaking)
    with pytest.raises(StageError, match=r"differs by .* set train.attention to sdpa"):
        require_documents_apart(make_model("varlen"), sequences_of(tmp_path), bf16=bf16)


def test_a_model_that_is_not_told_of_documents_is_refused(tmp_path, monkeypatch):
    """As by a version of transformers that does not pass borders on to the attention."""

    def deaf(*args, cu_seq_lens_q, **options):
        return attend_within_documents(*args, **options)

    monkeypatch.setattr(attention_module, "attend_within_documents", deaf)
    with pytest.raises(StageError, match="differs by"):
        require_documents_apart(make_model("varlen"), sequences_of(tmp_path), bf16=False)


def test_of_long_sequences_the_first_tokens_are_compared(tmp_path, monkeypatch):
    """The mask's memory grows with the square of the tokens."""
    asked = []
    kernel = attention_module._one_after_another
    monkeypatch.setattr(attention_module, "_TOKENS_COMPARED", 40)
    monkeypatch.setattr(
        attention_module, "_one_after_another", lambda *args: asked.append(args[3].tolist()) or kernel(*args)
    )
    sequences = sequences_of(tmp_path)
    require_documents_apart(make_model("varlen"), sequences, bf16=False)
    assert [borders[0] for borders in asked] == [0] * 3 and {borders[-1] for borders in asked} == {2 * 40}


@pytest.mark.parametrize("error", [RuntimeError("head_size must be a multiple of 8"), NotImplementedError("no kernel")])
def test_a_kernel_that_cannot_be_had_is_told_in_the_terms_of_the_recipe(tmp_path, monkeypatch, error):
    def refusing(*args):
        raise error

    monkeypatch.setattr(attention_module, "_one_after_another", refusing)
    with pytest.raises(UsageError, match=rf"on cpu, with heads 8 wide: {error}; set train.attention to sdpa"):
        require_documents_apart(make_model("varlen"), sequences_of(tmp_path), bf16=False)


def test_attention_weights_that_the_model_is_to_hand_out_are_refused():
    model = make_model("eager")
    model.config.output_attentions = True
    with pytest.raises(UsageError, match="has output_attentions true"):
        use_varlen(model, bf16=False)


def test_an_attention_that_is_not_known_is_not_given_a_batch_of_isolated_documents(tmp_path):
    with pytest.raises(StageError, match="'causal' cannot keep documents apart"):
        model_inputs(rows(packed(tmp_path)), "causal")


def test_in_training_a_model_that_is_not_told_of_documents_stops():
    query = torch.zeros(1, 1, 4, 8)
    with pytest.raises(StageError, match="does not tell the attention where documents begin"):
        attend_within_documents(torch.nn.Module().train(), query, query, query, None, scaling=1.0)


def test_dropout_of_attention_weights_is_refused():
    model = make_model("sdpa")
    model.config.attention_dropout = 0.1
    with pytest.raises(UsageError, match=r"attention_dropout is 0.1: set train.attention to sdpa"):
        use_varlen(model, bf16=False)


def context_of(folder, **config):
    pack = packed(folder, TEXTS * 10, sequence_length=96)
    store = LocalStore(folder / "train")
    init = make_init(store, vocab_size=263, max_position_embeddings=96, attention_dropout=0.0)
    return make_context(store, pack, init, **config)


def rows_of(context):
    return [json.loads(line) for line in context.store.local_file("train/x/metrics/train.jsonl").open()]


def test_a_training_is_the_same_by_both_and_a_resume_is_exact(tmp_path):
    contexts = {name: context_of(tmp_path / name, attention=name) for name in ("sdpa", "varlen")}
    for context in contexts.values():
        train_here(context)
    for expected, found in zip(rows_of(contexts["sdpa"]), rows_of(contexts["varlen"]), strict=True):
        assert found == pytest.approx(expected, rel=1e-4)
    resumed = context_of(tmp_path / "resumed", attention="varlen")
    with pytest.raises(Stopped):
        train_here(resumed, [SignalAt("on_step_begin", 13)])
    train_here(resumed)
    whole, again = (
        load_file(each.store.local_file("train/x/data/model.safetensors")) for each in (contexts["varlen"], resumed)
    )
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    saved = json.loads(resumed.store.local_file("train/x/data/config.json").read_text())
    assert "varlen" not in json.dumps(saved)


def test_where_documents_are_not_isolated_nothing_changes(tmp_path):
    sequences = TokenSequences.from_artifact(packed(tmp_path, isolate_documents=False), "train")
    inputs = model_inputs(batch_of(sequences, [0]), "varlen")
    assert set(inputs) == {"input_ids", "labels"}
