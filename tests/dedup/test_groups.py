import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pretrain.dedup.groups import group_equal, num_partitions
from pretrain.dedup.signatures import Corpus


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=40))
def test_groups_are_all_documents_whose_whole_key_another_one_has(keys):
    members, starts = group_equal(np.arange(len(keys)) + 100, np.array(keys, np.uint64).reshape(-1, 2))
    found = {}
    for member, start in zip(members.tolist(), starts.tolist(), strict=True):
        found.setdefault(members[start].item(), []).append(member)
    expected = {}
    for index, key in enumerate(keys):
        expected.setdefault(key, []).append(index + 100)
    assert sorted(found.values()) == sorted(group for group in expected.values() if len(group) > 1)
    assert all(first == group[0] == min(group) for first, group in found.items())


def test_partitions_follow_from_the_number_of_documents_alone():
    assert num_partitions(Corpus(())) == 1
    assert num_partitions(Corpus((1 << 22,))) == 1
    assert num_partitions(Corpus((1 << 22, 1))) == 2


def test_documents_are_numbered_by_arrival():
    assert Corpus((3, 0, 2)).starts.tolist() == [0, 3, 3, 5]
