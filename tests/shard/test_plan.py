import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.documents import document_id
from pretrain.shard.config import ShardConfig
from pretrain.shard.plan import document_hashes, even_sizes, make_plan, targets_of


def hashes_of(count, seed=0):
    return document_hashes([document_id("s", "f", index) for index in range(count)], seed)


def sides(hashes, fraction):
    return hashes[:, 0] < make_plan([hashes], ShardConfig(validation_fraction=fraction)).threshold


def test_the_hash_is_blake2b_of_seed_and_id():
    # A changed hash would move documents between train and validation of existing runs.
    digest = hashlib.blake2b(b"7\0abc", digest_size=16, person=b"pretrain.shard").digest()
    expected = [int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")]
    assert document_hashes(["abc"], 7).tolist() == [expected]


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
    count=st.integers(1, 300),
    parts=st.integers(1, 20),
    fraction=st.floats(0, 0.5),
    shuffle=st.booleans(),
    seed=st.integers(0, 5),
)
def test_every_document_has_one_target_and_targets_are_as_planned(count, parts, fraction, shuffle, seed):
    config = ShardConfig(parts=parts, validation_fraction=fraction, shuffle=shuffle)
    hashes = hashes_of(count, seed)
    plan = make_plan(np.array_split(hashes, 3), config)
    in_validation = hashes[:, 0] < plan.threshold
    arrival = np.where(in_validation, np.cumsum(in_validation), np.cumsum(~in_validation)) - 1
    order = hashes[:, 1] if shuffle else arrival.astype(np.uint64)
    targets = targets_of(plan, in_validation, order)
    sizes = [*plan.train.part_sizes, *plan.validation.part_sizes]
    assert np.bincount(targets, minlength=len(sizes)).tolist() == sizes
    assert len(plan.train.part_sizes) == min(parts, plan.train.num_documents)
    assert max(plan.validation.part_sizes, default=0) <= max(plan.train.part_sizes)
    train_order = order[~in_validation]
    assert np.array_equal(np.sort(targets[~in_validation]), targets[~in_validation][np.argsort(train_order)])
