"""The same sequences in one forward pass or in many are the same step, however many targets each of them has.

There is no step of fewer sequences at an epoch's end: it is filled from the next epoch.
"""

import pytest
import torch
from transformers import AutoModelForCausalLM

from pretrain.pack.config import PackConfig
from pretrain.sequences import TokenSequences
from pretrain.store import LocalStore
from pretrain.train.batches import IGNORED, batch_of
from tests.pack.test_stage import pack
from tests.train.killing import train_here
from tests.train.tiny_training import make_context, make_init


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    """Isolated documents of many lengths with padding: labels are left out at starts and at ends."""
    texts = [f"document {n} " + "abc " * (n % 11) for n in range(75)]
    config = PackConfig(sequence_length=64, strategy="best_fit", isolate_documents=True)
    artifact, _, _ = pack(tmp_path_factory.mktemp("masked"), [texts], [texts[:20]], config)
    sequences = TokenSequences.from_artifact(artifact, "train")
    targets = (batch_of(sequences, range(len(sequences)))["labels"][:, 1:] != IGNORED).sum(dim=1)
    assert targets.min() < targets.max() - 5
    assert len(sequences) < 5 * 8 and len(sequences) % 8  # an epoch ends inside a step
    return artifact


def weights_of(folder, artifact, batch, accumulation):
    store = LocalStore(folder)
    context = make_context(
        store,
        artifact,
        make_init(store, attention_dropout=0.0, vocab_size=263),
        max_steps=5,
        per_device_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        learning_rate=0.001,
    )
    loss = train_here(context)["loss_first"]
    return loss, AutoModelForCausalLM.from_pretrained(store.local_file("train/x/data")).state_dict()


def test_one_of_eight_two_of_four_and_eight_of_one_give_the_same_weights(masked, tmp_path):
    (loss, whole), *others = (weights_of(tmp_path / str(batch), masked, batch, 8 // batch) for batch in (8, 4, 1))
    for other_loss, other in others:
        assert other_loss == pytest.approx(loss, abs=1e-6)
        for name, weights in whole.items():
            assert torch.allclose(other[name], weights, rtol=0, atol=1e-6), name
