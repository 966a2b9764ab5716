import itertools
import math
import pickle
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from pretrain.sequences import SampleOrder

# Thresholds of chi-squared tests below: mean + 5 standard deviations of the distribution.


def chi_squared(counts, expected):
    return float(((np.asarray(counts) - expected) ** 2 / expected).sum())


def bound(degrees_of_freedom):
    return degrees_of_freedom + 5 * math.sqrt(2 * degrees_of_freedom)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 100, 1000, 1023, 1024, 1025, 65_537])
def test_an_epoch_is_a_permutation(n):
    order = SampleOrder(n, seed=0)
    for epoch in (0, 1, 5):
        sequences = order.sequence_of(np.arange(epoch * n, (epoch + 1) * n))
        assert np.array_equal(np.sort(sequences), np.arange(n))


def test_every_size_up_to_200_is_permuted():
    for n in range(1, 201):
        assert set(SampleOrder(n, seed=n).sequence_of(np.arange(n)).tolist()) == set(range(n))


def test_scalar_and_array_agree_over_epoch_borders():
    order = SampleOrder(1000, seed=3)
    samples = np.arange(2500)
    assert order.sequence_of(samples).tolist() == [order.sequence_of(k) for k in range(2500)]
    assert order.sequence_of(np.array([[5, 1500], [999, 1000]])).tolist() == [
        [order.sequence_of(5), order.sequence_of(1500)],
        [order.sequence_of(999), order.sequence_of(1000)],
    ]


def test_large_runs_are_addressed_directly():
    order = SampleOrder(10**12, seed=0)
    sequence = order.sequence_of(5 * 10**12 + 123)
    assert 0 <= sequence < 10**12
    assert order.sequence_of(np.array([5 * 10**12 + 123])).tolist() == [sequence]


def test_epochs_and_seeds_differ():
    n = 1000
    epochs = SampleOrder(n, seed=0).sequence_of(np.arange(3 * n)).reshape(3, n)
    other = SampleOrder(n, seed=1).sequence_of(np.arange(n))
    for a, b in itertools.combinations([*epochs, other], 2):
        # Two random permutations agree at one position on average.
        assert (a == b).sum() < 10


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_all_permutations_of_few_sequences_are_equally_likely(n):
    num_epochs = 960
    rows = SampleOrder(n, seed=1).sequence_of(np.arange(n * num_epochs)).reshape(-1, n)
    seen = Counter(map(tuple, rows.tolist()))
    counts = [seen[permutation] for permutation in itertools.permutations(range(n))]
    assert chi_squared(counts, num_epochs / len(counts)) < bound(len(counts) - 1)


def test_each_sequence_is_equally_likely_at_each_position():
    n, num_epochs = 50, 1500
    rows = SampleOrder(n, seed=2).sequence_of(np.arange(n * num_epochs)).reshape(-1, n)
    table = np.stack([np.bincount(column, minlength=n) for column in rows.T])
    assert chi_squared(table, num_epochs / n) < bound((n - 1) ** 2)


def test_neighbours_are_unrelated():
    n, num_epochs = 64, 2000
    rows = SampleOrder(n, seed=4).sequence_of(np.arange(n * num_epochs)).reshape(-1, n)
    steps = np.bincount(((rows[:, 1:] - rows[:, :-1]) % n).ravel(), minlength=n)[1:]
    assert chi_squared(steps, steps.sum() / (n - 1)) < bound(n - 2)


def test_order_does_not_change_between_versions():
    # A changed order would continue a half-trained model on other data.
    assert [SampleOrder(10, seed=0).sequence_of(k) for k in range(10)] == [9, 0, 7, 3, 1, 4, 2, 8, 5, 6]


def test_a_pickled_order_is_the_same_order():
    order = SampleOrder(77, seed=9)
    assert pickle.loads(pickle.dumps(order)).sequence_of(1234) == order.sequence_of(1234)


def test_no_sequences_is_refused():
    with pytest.raises(ValueError, match="num_sequences must be in"):
        SampleOrder(0, seed=0)


def test_importing_the_library_loads_no_torch():
    code = "import sys, pretrain.sequences; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
