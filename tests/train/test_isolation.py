"""Documents that share a sequence and are isolated: none bears on another, in any mode, through the real collator."""

import itertools

import numpy as np
import pytest
import torch
import transformers.modeling_flash_attention_utils as flash
from torch.nn.functional import cross_entropy, scaled_dot_product_attention
from transformers import LlamaConfig, LlamaForCausalLM

from pretrain.pack.config import PackConfig
from pretrain.sequences import TokenSequences, read_token_bytes
from pretrain.train.attention import use_varlen
from pretrain.train.batches import IGNORED, VARLEN, batch_of, model_inputs
from pretrain.train.samples import OrderedSamples, collate
from pretrain.train.validation import Validation
from tests.pack.test_stage import pack

TEXTS = ["the first document", "a second one, somewhat longer than the first", "the third", "four"]


def make_model(attention):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=263,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
    )
    config._attn_implementation = "sdpa" if attention == VARLEN else attention
    model = LlamaForCausalLM(config)
    if attention == VARLEN:
        use_varlen(model, bf16=False)
    return model


def packed(folder, texts=TEXTS, **config):
    values = {"sequence_length": 96, "strategy": "best_fit", "isolate_documents": True, **config}
    artifact, _, _ = pack(folder, [texts], [texts], PackConfig(**values))
    return artifact


def rows(artifact):
    sequences = TokenSequences.from_artifact(artifact, "train")
    return collate(OrderedSamples(sequences, 0, len(sequences)).__getitems__(range(len(sequences))))


def logits_by_document(model, batch):
    """The logits of each document of a batch, by its tokens."""
    with torch.no_grad():
        logits = model(**model_inputs(batch, model.config._attn_implementation), use_cache=False).logits
    found = {}
    for row, numbers in enumerate(batch["document_ids"]):
        for number in range(int(numbers.max()) + 1):
            chosen = numbers == number
            found[tuple(batch["input_ids"][row][chosen].tolist())] = logits[row][chosen]
    return found


@pytest.mark.parametrize("attention", ["sdpa", "eager", "varlen"])
@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("strategy", ["best_fit", "concat"])
def test_logits_of_a_document_are_those_of_the_document_alone(tmp_path, attention, is_training, strategy):
    model = make_model(attention).train(is_training)
    plain = make_model("sdpa").train(is_training)  # of the same weights
    batch = rows(packed(tmp_path, strategy=strategy, **({"tail": "pad"} if strategy == "concat" else {})))
    assert (batch["document_ids"].max(dim=1).values > 0).any()
    for tokens, logits in logits_by_document(model, batch).items():
        with torch.no_grad():
            alone = plain(input_ids=torch.tensor([tokens]), use_cache=False).logits[0]
        assert torch.allclose(logits, alone, atol=1e-5)


@pytest.mark.parametrize("attention", ["sdpa", "eager", "varlen"])
def test_logits_stay_when_the_neighbours_are_replaced(tmp_path, attention):
    model = make_model(attention).eval()
    one = logits_by_document(model, rows(packed(tmp_path / "a")))
    other = logits_by_document(model, rows(packed(tmp_path / "b", [TEXTS[1], *(text[::-1] for text in TEXTS[2:])])))
    (shared,) = one.keys() & other.keys()
    assert torch.allclose(one[shared], other[shared], atol=1e-5)


def losses_alone(model, tokens):
    logits = model(torch.tensor([tokens]), use_cache=False).logits[0, :-1]
    return cross_entropy(logits, torch.tensor(tokens[1:]), reduction="none")


@pytest.mark.parametrize("attention", ["sdpa", "eager", "varlen"])
def test_the_loss_is_that_of_the_documents_alone(tmp_path, attention):
    model = make_model(attention).eval()
    artifact = packed(tmp_path)
    batch = rows(artifact)
    with torch.no_grad():
        loss = model(**model_inputs(batch, attention), use_cache=False).loss.item()
        nats = torch.cat([losses_alone(model, tokens) for tokens in logits_by_document(model, batch)])
    assert loss == pytest.approx(nats.mean().item(), rel=1e-5)
    sequences = TokenSequences.from_artifact(artifact, "validation")
    figures = Validation(sequences, read_token_bytes(artifact), len(sequences), 2).measure(model)
    assert figures.loss == pytest.approx(nats.mean().item(), rel=1e-5)


def test_without_isolation_neighbours_do_bear_on_each_other(tmp_path):
    model = make_model("sdpa").eval()
    batch = rows(packed(tmp_path))
    shared = {name: batch[name] for name in ("input_ids", "labels")}
    with torch.no_grad():
        loss, isolated = (
            model(**model_inputs(values, "sdpa"), use_cache=False).loss.item() for values in (shared, batch)
        )
    assert abs(loss - isolated) > 1e-4


def test_labels_leave_out_padding_and_where_isolated_the_first_token_of_a_document(tmp_path):
    for is_isolated in (True, False):
        artifact = packed(tmp_path / str(is_isolated), ["a", "bb"], sequence_length=12, isolate_documents=is_isolated)
        batch = batch_of(TokenSequences.from_artifact(artifact, "train"), [0])
        tokens = batch["input_ids"][0].tolist()
        ignored = np.flatnonzero(batch["labels"][0].numpy() == IGNORED).tolist()
        assert ignored == ([0, 3, *range(7, 12)] if is_isolated else [*range(7, 12)])
        assert [batch["labels"][0][n].item() for n in range(12) if n not in ignored] == [
            token for n, token in enumerate(tokens) if n not in ignored
        ]
        assert ("position_ids" in batch) == is_isolated


def test_flex_attention_finds_documents_by_their_positions(tmp_path):
    inputs = model_inputs(rows(packed(tmp_path)), "flex_attention")
    assert set(inputs) == {"input_ids", "labels", "position_ids"}


def test_flash_attention_is_told_where_the_documents_of_all_rows_begin(tmp_path):
    artifact = packed(tmp_path, ["aa", "b", "cccccc"], sequence_length=9)  # rows of 8 and of 4 and 3 tokens
    inputs = model_inputs(rows(artifact), "flash_attention_2")
    filled = (inputs["input_ids"] != 2).sum(dim=1).tolist()
    assert sorted(filled) == [7, 8]
    expected = [0, 8, 9, 13, 16, 18] if filled[0] == 8 else [0, 4, 7, 9, 17, 18]
    assert inputs["cu_seq_lens_q"].tolist() == inputs["cu_seq_lens_k"].tolist() == expected
    assert inputs["cu_seq_lens_q"].dtype == torch.int32
    assert inputs["max_length_q"] == inputs["max_length_k"] == 9  # of a sequence: the same in every batch


def varlen_attention(q, k, v, *, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, causal, softmax_scale):
    """What flash_attn_varlen_func computes: (tokens, heads, width), documents apart by their borders."""
    assert causal and max_seqlen_q == max_seqlen_k >= int(cu_seqlens_q.diff().max())
    assert torch.equal(cu_seqlens_q, cu_seqlens_k)
    found = []
    for start, stop in itertools.pairwise(cu_seqlens_q.tolist()):
        heads = [part[start:stop].transpose(0, 1) for part in (q, k, v)]
        found.append(scaled_dot_product_attention(*heads, is_causal=True, scale=softmax_scale, enable_gqa=True))
    return torch.cat(found, dim=1).transpose(0, 1)


def plain_attention(q, k, v, *, causal, softmax_scale):
    """What flash_attn_func computes: (rows, tokens, heads, width)."""
    heads = [part.transpose(1, 2) for part in (q, k, v)]
    found = scaled_dot_product_attention(*heads, is_causal=causal, scale=softmax_scale, enable_gqa=True)
    return found.transpose(1, 2)


@pytest.mark.parametrize("is_training", [True, False])
def test_by_flash_attention_logits_of_a_document_are_those_of_the_document_alone(tmp_path, monkeypatch, is_training):
    """transformers' own way to it, over several rows; of its kernels, which want a GPU, what they compute."""
    model = make_model("sdpa").train(is_training)
    batch = rows(packed(tmp_path, TEXTS * 2))
    assert len(batch["input_ids"]) > 1
    expected = logits_by_document(model, batch)
    for name in list(vars(flash)):
        monkeypatch.setattr(flash, name, getattr(flash, name))  # puts back what it keeps of the kernels
    kernels = (plain_attention, varlen_attention, None, flash._pad_input, flash._unpad_input)
    monkeypatch.setattr(flash, "_lazy_imports", lambda *_, **__: kernels)
    model.config._attn_implementation = "flash_attention_2"
    found = logits_by_document(model, batch)
    assert found.keys() == expected.keys()
    for tokens, logits in found.items():
        assert torch.allclose(logits, expected[tokens], atol=1e-5)
