import numpy as np
import torch

from pretrain.sequences import TokenSequences
from pretrain.store import LocalStore
from pretrain.train.samples import OrderedSamples, collate
from tests.train.tiny_training import SEQUENCE_LENGTH, make_pack


def test_every_epoch_has_every_sequence_once_in_another_order(tmp_path):
    sequences = TokenSequences.from_artifact(make_pack(LocalStore(tmp_path)), "train")
    samples = OrderedSamples(sequences, seed=0, num_samples=100)
    assert len(samples) == 100
    epochs = [[samples.sequence_at(40 * epoch + i) for i in range(40)] for epoch in (0, 1)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(40))
    assert epochs[0] != epochs[1]
    other_seed = OrderedSamples(sequences, seed=1, num_samples=100)
    assert epochs[0] != [other_seed.sequence_at(i) for i in range(40)]


def test_a_batch_is_its_samples_and_its_labels_are_its_inputs(tmp_path):
    samples = OrderedSamples(TokenSequences.from_artifact(make_pack(LocalStore(tmp_path)), "train"), 0, 100)
    state = torch.random.get_rng_state()
    batch = collate(samples.__getitems__([38, 39, 40, 41]))  # over the end of the first epoch
    assert set(batch) == {"input_ids", "labels"}  # no attention_mask
    assert batch["input_ids"].dtype == torch.int64 and batch["input_ids"].shape == (4, SEQUENCE_LENGTH)
    assert np.array_equal(batch["labels"].numpy(), np.stack([samples[k] for k in (38, 39, 40, 41)]))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_skipped_samples_are_left_out_and_the_order_goes_on_behind_them(tmp_path):
    sequences = TokenSequences.from_artifact(make_pack(LocalStore(tmp_path)), "train")
    plain, skipping = OrderedSamples(sequences, 0, 100), OrderedSamples(sequences, 0, 100, [[12, 8]])
    batch = skipping.__getitems__(range(10, 16))
    assert torch.equal(batch["input_ids"], plain.__getitems__([10, 11, *range(20, 24)])["input_ids"])
    assert np.array_equal(skipping[12], plain[20])
