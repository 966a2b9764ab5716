"""Of the attention's FLOPs, those that the model needs are counted."""

import numpy as np

from pretrain.sequences import TokenSequences
from pretrain.train.attended import attended_tokens
from tests.train.test_isolation import TEXTS, packed


def sequences_of(folder, **config):
    return TokenSequences.from_artifact(packed(folder, TEXTS * 5, **config), "train")


def test_documents_that_see_each_other_are_paired_over_the_whole_sequence(tmp_path):
    assert attended_tokens(sequences_of(tmp_path, isolate_documents=False)) == 96


def test_documents_kept_apart_are_paired_with_their_own_tokens(tmp_path):
    sequences = sequences_of(tmp_path)
    ids = sequences.documents(range(len(sequences)))[1]
    pairs = sum(int((row[:, None] == row[None, :])[row >= 0].sum()) for row in ids)  # one by one
    assert 0 < attended_tokens(sequences) == round(pairs / np.size(ids)) < 96
