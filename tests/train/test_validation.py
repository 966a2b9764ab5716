import math
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pretrain.sequences import TokenSequences, read_token_bytes
from pretrain.store import LocalStore
from pretrain.train.validation import Validation
from tests.train.tiny_training import VOCAB_SIZE, make_pack


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    return make_pack(LocalStore(tmp_path_factory.mktemp("pack")))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCAB_SIZE,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            attention_dropout=0.5,
        )
    )


def validation(pack, num_sequences, batch_size):
    sequences = TokenSequences.from_artifact(pack, "validation")
    return Validation(sequences, read_token_bytes(pack), num_sequences, batch_size)


def test_loss_is_the_mean_over_all_targets_of_the_first_sequences(pack, model):
    sequences = TokenSequences.from_artifact(pack, "validation")
    rows = torch.from_numpy(np.stack([sequences[i] for i in range(5)]))
    model.eval()
    with torch.no_grad():
        expected = model(input_ids=rows, labels=rows, use_cache=False).loss.item()
    assert validation(pack, 5, batch_size=2).measure(model).loss == pytest.approx(expected, rel=1e-6)


def test_bits_per_byte_leaves_targets_without_text_out_of_both_sums(model):
    class OneSequence:
        index = SimpleNamespace(needs_documents=False)

        def __len__(self):
            return 1

        def batch(self, positions):
            return np.array([[0, 5, 1, 6]])

    token_bytes = np.zeros(VOCAB_SIZE, dtype=np.int32)
    token_bytes[[5, 6]] = [3, 4]  # 0 and 1 are special
    with torch.no_grad():
        logits = model.eval()(torch.tensor([[0, 5, 1]]), use_cache=False).logits[0].double()
    nats = -logits.log_softmax(-1)[[0, 1, 2], [5, 1, 6]]
    figures = Validation(OneSequence(), token_bytes, 1, 1).measure(model)
    assert figures.bits_per_byte == pytest.approx((nats[0] + nats[2]).item() / math.log(2) / 7, rel=1e-6)
    assert figures.loss == pytest.approx(nats.mean().item(), rel=1e-6)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_the_batch_size_changes_nothing_but_rounding(pack, model, batch_size):
    figures, reference = (validation(pack, 8, size).measure(model) for size in (batch_size, 2))
    assert figures.loss == pytest.approx(reference.loss, rel=1e-6)
    assert figures.bits_per_byte == pytest.approx(reference.bits_per_byte, rel=1e-6)


def test_training_is_not_disturbed(pack, model):
    model.train()
    states = random.getstate(), torch.random.get_rng_state()
    validation(pack, 8, 2).measure(model)
    assert model.training and random.getstate() == states[0]
    assert torch.equal(torch.random.get_rng_state(), states[1])
    assert all(parameter.grad is None for parameter in model.parameters())


def test_no_more_is_measured_than_the_split_has(pack):
    assert validation(pack, 1000, 2).num_sequences == 8
