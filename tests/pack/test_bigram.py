import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.pack.bigram import bigram_loss


def by_hand(train, validation, vocab_size):
    """Every pair of the validation split, one by one, for every m."""
    pairs, contexts, unigrams = Counter(itertools.pairwise(train)), Counter(train[:-1]), Counter(train)

    def loss(m):
        total = 0.0
        for a, b in itertools.pairwise(validation):
            prior = (unigrams[b] + 1) / (len(train) + vocab_size)
            total -= math.log((pairs[a, b] + m * prior) / (contexts[a] + m))
        return total / (len(validation) - 1)

    return min(loss(2.0**power) for power in range(14))


@given(st.lists(st.integers(0, 4), max_size=40), st.lists(st.integers(0, 4), min_size=2, max_size=20))
def test_it_is_the_smoothed_model_of_every_pair(train, validation):
    found = bigram_loss(np.array(train, np.int64), np.array(validation, np.int64), 5)
    assert found == pytest.approx(by_hand(train, validation, 5), abs=6e-5)


def test_text_that_repeats_itself_is_foreseen():
    cycle = np.array([0, 1, 2, 3] * 5000, np.int64)
    assert bigram_loss(cycle, cycle[:400], 4) < 0.001


def test_no_pair_has_no_loss():
    assert bigram_loss(np.array([1, 2]), np.array([1]), 4) is None
