import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.documents import document_id
from pretrain.shard.plan import Rules, draws, even_sizes, kept_range, keys_at, mix64, validation_threshold
from pretrain.shard.records import Records, document_hashes


def hashes_of(count, seed=0):
    return document_hashes([document_id("s", "f", index) for index in range(count)], seed)


def records_of(hashes):
    return Records(hashes, None, (), 0)


def sides(hashes, fraction):
    threshold = validation_threshold(lambda: iter([hashes[:, 0]]), fraction)
    return Rules(threshold, range(len(hashes)), {}, (1.0,), None).in_validation(records_of(hashes))


def test_the_hash_is_blake2b_of_seed_and_id():
    # A changed hash would move documents between train and validation of existing runs.
    digest = hashlib.blake2b(b"7\0abc", digest_size=16, person=b"pretrain.shard").digest()
    expected = [int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")]
    assert document_hashes(["abc"], 7).tolist() == [expected]


def test_mix64_is_that_of_splitmix64():
    # The first outputs for seed 0, as in the vectors of its reference implementation.
    states = np.array([0x9E3779B97F4A7C15, 2 * 0x9E3779B97F4A7C15 % 2**64], np.uint64)
    assert [hex(value) for value in mix64(states).tolist()] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]


def test_draws_are_uniform_and_tell_nothing_of_the_order():
    hashes = hashes_of(20_000)
    drawn = draws(records_of(hashes))
    assert drawn.min() >= 0 and drawn.max() < 1
    # Of 20 000 in 10 bins: 2000 each, standard deviation 42.
    assert np.abs(np.histogram(drawn, bins=10, range=(0, 1))[0] - 2000).max() < 5 * 42
    assert abs(np.corrcoef(drawn, hashes[:, 1].astype(float))[0, 1]) < 5 / np.sqrt(20_000)


def test_the_validation_share_is_as_asked():
    # 20 000 draws at 0.1: standard deviation 42.
    assert abs(int(sides(hashes_of(20_000), 0.1).sum()) - 2000) < 5 * 42


def test_a_document_keeps_its_side_when_others_come_and_go():
    hashes = hashes_of(5000)
    whole = sides(hashes, 0.02)
    assert np.array_equal(sides(hashes[1000:3000], 0.02), whole[1000:3000])


def test_a_larger_fraction_only_adds_to_validation():
    hashes = hashes_of(5000)
    assert not (sides(hashes, 0.02) & ~sides(hashes, 0.1)).any()


def test_the_seed_changes_the_split():
    assert not np.array_equal(sides(hashes_of(5000, seed=0), 0.1), sides(hashes_of(5000, seed=1), 0.1))


@pytest.mark.parametrize(("count", "in_validation"), [(0, 0), (1, 0), (2, 1), (10, 1)])
def test_each_side_of_a_small_corpus_gets_a_document(count, in_validation):
    assert sides(hashes_of(count), 1e-9).sum() == in_validation


def test_fraction_zero_has_no_validation():
    assert not sides(hashes_of(100), 0.0).any()


@pytest.mark.parametrize(
    ("total", "parts", "sizes"), [(10, 3, [4, 3, 3]), (2, 8, [1, 1]), (0, 4, []), (8, 4, [2, 2, 2, 2])]
)
def test_sizes_differ_by_at_most_one(total, parts, sizes):
    assert even_sizes(total, parts) == sizes


@given(
    keys=st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 50) | st.integers(2**63, 2**63 + 9), min_size=1),
    ranks=st.sets(st.integers(0, 10**6), max_size=20),
    num_parts=st.integers(1, 4),
)
def test_keys_at_ranks_are_those_of_a_sort(keys, ranks, num_parts):
    array = np.array(keys, np.uint64)
    places = np.array(sorted({rank % len(keys) for rank in ranks}), np.int64)
    found = keys_at(lambda: iter(np.array_split(array, num_parts)), places)
    assert found.tolist() == [sorted(keys)[place] for place in places]


@given(num_documents=st.integers(0, 200), num_shards=st.integers(1, 30), contiguous=st.booleans())
def test_shards_are_all_documents_once(num_documents, num_shards, contiguous):
    shards = [kept_range(num_documents, num_shards, index, contiguous=contiguous) for index in range(num_shards)]
    assert sorted(place for shard in shards for place in shard) == list(range(num_documents))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
