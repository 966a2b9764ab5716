import numpy as np

from pretrain.dedup.candidates import band_units, pairs_with_leaders, unique_pairs
from pretrain.dedup.config import KeepConfig
from pretrain.dedup.signatures import Corpus


def pairs(starts, max_leaders):
    leaders, members = pairs_with_leaders(np.array(starts, np.int64), max_leaders)
    return sorted(zip(leaders.tolist(), members.tolist(), strict=True))


def test_all_pairs_of_a_bucket_where_it_is_small():
    assert pairs([0, 0, 0, 3, 3], 64) == [(0, 1), (0, 2), (1, 2), (3, 4)]
    assert pairs([], 64) == []


def test_a_large_bucket_pairs_each_member_with_its_first_members_only():
    assert pairs([0, 0, 0, 0], 1) == [(0, 1), (0, 2), (0, 3)]
    assert pairs([0, 0, 0, 0], 2) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)]


def test_a_pair_counts_once_whichever_side_comes_first():
    found = unique_pairs(np.array([[5, 2], [2, 5], [1, 9], [2, 5], [1, 3]]))
    assert found.tolist() == [[1, 3], [1, 9], [2, 5]]


def test_bands_are_cut_by_the_size_of_the_corpus():
    def cut(num_documents):
        units = band_units(Corpus((num_documents,)), 14, (), 64, KeepConfig())
        assert len({unit.name for unit in units}) == len(units)
        return [(unit.bands, unit.partition) for unit in units]

    assert cut(0) == cut(1000) == [(tuple(range(14)), 0)]
    assert [len(bands) for bands, _ in cut(1 << 20)] == [4, 4, 4, 2]
    assert cut((1 << 22) + 1)[:4] == [((0,), 0), ((0,), 1), ((1,), 0), ((1,), 1)]
