import itertools

import numpy as np
import pytest

from pretrain.dedup.bands import pairs_with_leaders, unique_rows


def pairs(starts, max_leaders, max_pairs=1000):
    found = list(pairs_with_leaders(np.array(starts, np.int64), max_leaders, max_pairs))
    return [sorted(zip(leaders.tolist(), members.tolist(), strict=True)) for leaders, members in found]


def test_all_pairs_of_a_bucket_where_it_is_small():
    assert pairs([0, 0, 0, 3, 3, 5], 64) == [[(0, 1), (0, 2), (1, 2), (3, 4)]]
    assert pairs([], 64) == pairs([0], 64) == []


def test_a_large_bucket_pairs_each_member_with_its_first_members_only():
    assert pairs([0, 0, 0, 0], 1) == [[(0, 1), (0, 2), (0, 3)]]
    assert pairs([0, 0, 0, 0], 2) == [[(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)]]


@pytest.mark.parametrize("max_pairs", [1, 2, 3, 7])
def test_answers_are_of_bounded_size_and_have_every_pair_once(max_pairs):
    starts = [0, 0, 0, 3, 4, 4, 4, 4, 8]
    [whole] = pairs(starts, 2)
    pieces = pairs(starts, 2, max_pairs)
    assert sorted(itertools.chain(*pieces)) == whole
    assert all(len(piece) <= max_pairs + 2 for piece in pieces)


def test_a_pair_counts_once():
    found = unique_rows(np.array([[2, 5], [2, 5], [1, 9], [2, 5], [1, 3]], np.uint64))
    assert found.tolist() == [[1, 3], [1, 9], [2, 5]]
