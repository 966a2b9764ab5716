import itertools
import random
from collections import Counter

import pytest
from datasets import Dataset

from pretrain.errors import StageError
from pretrain.runner import LocalRunner
from pretrain.shard.config import ShardConfig
from pretrain.shard.gather import row_groups
from pretrain.shard.stage import build
from pretrain.store import LocalStore
from tests.document_artifact import make_document_artifact
from tests.sequences.stage_inputs import make_context
from tests.shard.corpus import cut, make_corpus, read, shard


def test_documents_are_conserved_in_equal_parts(tmp_path):
    corpus = make_corpus(500)
    artifact, stats = shard(tmp_path, cut(corpus, 3), ShardConfig(parts=4, validation_fraction=0.1))
    train, validation = read(artifact, "train"), read(artifact, "validation")
    assert Counter(d for part in train + validation for d in part) == Counter(corpus)
    assert {len(part) for part in train} <= {len(train[-1]), len(train[-1]) + 1}
    assert [len(part) for part in validation] == [stats["documents_by_split"]["validation"]]
    size = sum(len(document.text.encode()) for document in corpus)
    assert stats == {
        "documents_in": 500,
        "documents_out": 500,
        "documents_dropped": 0,
        "documents_repeated": 0,
        "bytes_in": size,
        "bytes_out": size,
        "dropped_by_reason": {},
        "dropped_by_source": {},
        "documents_by_source": {"source-0": 167, "source-1": 167, "source-2": 166},
        "documents_by_split": {"train": sum(map(len, train)), "validation": sum(map(len, validation))},
        "bytes_by_split": {
            split: sum(len(d.text.encode()) for part in parts for d in part)
            for split, parts in (("train", train), ("validation", validation))
        },
        "parts": {"train": 4, "validation": 1},
        "mixture": {},
    }
    assert artifact.parts("ledger/") == []
    assert [part.path for part in artifact.parts("data/train/")] == [
        f"data/train/part-0000{index}.parquet" for index in range(4)
    ]
    assert [part.rows for part in artifact.parts("data/train/")] == list(map(len, train))


def test_bytes_do_not_depend_on_input_parts_or_their_order(tmp_path):
    corpus = make_corpus(400)
    rearranged = random.Random(1).sample(corpus, len(corpus))
    config = ShardConfig(parts=3, validation_fraction=0.1)
    first, _ = shard(tmp_path / "a", cut(corpus, 2), config)
    second, _ = shard(tmp_path / "b", cut(rearranged, 7), config)
    assert [part.sha256 for part in first.parts()] == [part.sha256 for part in second.parts()]


@pytest.fixture(scope="module")
def two_workers():
    with LocalRunner(2) as runner:
        yield runner


@pytest.mark.parametrize("shuffle", [True, False])
def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path, two_workers, shuffle):
    parts = cut(make_corpus(300), 4)
    config = ShardConfig(parts=3, validation_fraction=0.1, shuffle=shuffle)
    inline, stats = shard(tmp_path / "inline", parts, config)
    pooled, pooled_stats = shard(tmp_path / "pooled", parts, config, two_workers)
    assert [part.sha256 for part in inline.parts()] == [part.sha256 for part in pooled.parts()]
    assert stats == pooled_stats


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("slice_bytes", [1, 1000, 100_000])
def test_slices_smaller_than_a_part_change_no_byte(tmp_path, monkeypatch, shuffle, slice_bytes):
    parts = cut(make_corpus(300), 2)
    config = ShardConfig(parts=3, validation_fraction=0.1, shuffle=shuffle)
    first, _ = shard(tmp_path / "a", parts, config)
    monkeypatch.setattr("pretrain.shard.stage.SLICE_BYTES", slice_bytes)
    second, _ = shard(tmp_path / "b", parts, config)
    assert [part.sha256 for part in first.parts()] == [part.sha256 for part in second.parts()]


def test_a_slice_larger_than_planned_is_read_in_ranges_of_keys(tmp_path, monkeypatch):
    parts = cut(make_corpus(300), 2)
    config = ShardConfig(parts=2, validation_fraction=0.1, mixture={"source-1": {"epochs": 3}})
    first, _ = shard(tmp_path / "a", parts, config)
    monkeypatch.setattr("pretrain.shard.gather.SLICE_BYTES", 2000)
    second, _ = shard(tmp_path / "b", parts, config)
    assert [part.sha256 for part in first.parts()] == [part.sha256 for part in second.parts()]


def test_buffers_smaller_than_a_part_change_nothing(tmp_path, monkeypatch):
    parts = cut(make_corpus(300), 2)
    config = ShardConfig(parts=3, validation_fraction=0.1)
    first, _ = shard(tmp_path / "a", parts, config)
    monkeypatch.setattr("pretrain.documents.ROW_GROUP_DOCUMENTS", 10)
    monkeypatch.setattr("pretrain.shard.scatter._BUFFER_BYTES", 1)
    # Input row groups of 10 documents, each scattered on its own.
    second, _ = shard(tmp_path / "b", parts, config)
    assert read(first, "train") == read(second, "train")
    assert read(first, "validation") == read(second, "validation")


def test_the_order_is_shuffled_by_the_seed(tmp_path):
    corpus = make_corpus(200)
    config = ShardConfig(parts=1, validation_fraction=0)
    orders = []
    for seed in (0, 1):
        artifact, _ = shard(tmp_path / str(seed), [corpus], config, seed=seed)
        orders.append([corpus.index(document) for document in read(artifact, "train")[0]])
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(200))
    # A random order keeps one of 200 in place on average, and rises half of the time.
    for order in (*orders, [orders[0].index(position) for position in orders[1]]):
        assert sum(a == b for a, b in enumerate(order)) < 8
        assert 70 < sum(a < b for a, b in itertools.pairwise(order)) < 130


def test_without_shuffle_parts_are_those_of_datasets_shard(tmp_path):
    corpus = make_corpus(103)
    config = ShardConfig(parts=10, validation_fraction=0, shuffle=False)
    artifact, _ = shard(tmp_path, cut(corpus, 4), config)
    whole = Dataset.from_dict({"text": [document.text for document in corpus]})
    for index, part in enumerate(read(artifact, "train")):
        assert [document.text for document in part] == whole.shard(num_shards=10, index=index)["text"][:]


def test_without_shuffle_each_split_keeps_the_order_of_arrival(tmp_path):
    corpus = make_corpus(200)
    config = ShardConfig(parts=3, validation_fraction=0.2, shuffle=False)
    artifact, _ = shard(tmp_path, cut(corpus, 5), config)
    for split in ("train", "validation"):
        positions = [corpus.index(d) for part in read(artifact, split) for d in part]
        assert positions == sorted(positions)


def test_fewer_documents_than_parts_give_fewer_parts(tmp_path):
    artifact, stats = shard(tmp_path, [make_corpus(3)], ShardConfig(parts=8, validation_fraction=0.5))
    assert stats["parts"]["train"] == stats["documents_by_split"]["train"] <= 2
    assert all(part.rows for part in artifact.parts())


def test_an_empty_input_part_is_no_trouble(tmp_path):
    corpus = make_corpus(20)
    _, stats = shard(tmp_path, [corpus[:10], [], corpus[10:]], ShardConfig(parts=2, validation_fraction=0))
    assert stats["documents_by_split"] == {"train": 20, "validation": 0}
    assert stats["parts"] == {"train": 2, "validation": 0}


@pytest.mark.parametrize("parts", [[], [[]]])
def test_no_document_is_an_error(tmp_path, parts):
    with pytest.raises(StageError, match="no document reached shard: language/upstream holds none"):
        shard(tmp_path, parts, ShardConfig())


def test_a_second_build_computes_nothing(tmp_path):
    store = LocalStore(tmp_path)
    documents = make_document_artifact(store, "language", cut(make_corpus(50), 2))
    config = ShardConfig(parts=2)
    stats = build(make_context(store, "shard", config, {"documents": documents}))

    class RefusingRunner:
        num_workers = 1

        def map(self, function, payloads):
            assert list(payloads) == []
            return iter(())

    again = make_context(store, "shard", config, {"documents": documents}, runner=RefusingRunner())
    assert build(again) == stats


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ([], []),
        ([5 << 20], [(0, 1)]),
        ([1 << 20] * 6, [(0, 4), (4, 6)]),
        ([5 << 20, 1, 1], [(0, 1), (1, 3)]),
        ([0] * 5000, [(0, 4096), (4096, 5000)]),
    ],
)
def test_row_groups_are_bounded_by_bytes_and_documents(sizes, groups):
    assert row_groups(sizes) == groups
