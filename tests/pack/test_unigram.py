import math

import pytest

from pretrain.pack.unigram import unigram_loss


def test_add_one_smoothing_by_hand():
    # p = (3+1)/(4+3), (1+1)/(4+3), (0+1)/(4+3); validation: token 0 twice, token 2 once.
    expected = -(2 * math.log(4 / 7) + math.log(1 / 7)) / 3
    assert unigram_loss([3, 1, 0], [2, 0, 1]) == pytest.approx(expected, abs=5e-7)


def test_uniform_counts_cost_the_logarithm_of_the_vocabulary():
    assert unigram_loss([5] * 4096, [1] * 4096) == round(math.log(4096), 6)


def test_no_validation_token_has_no_loss():
    assert unigram_loss([3, 1], [0, 0]) is None
