import itertools
from collections import Counter

import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pretrain.documents import Document, document_id, read_ledger
from pretrain.errors import RecipeError, StageError
from pretrain.runner import LocalRunner
from pretrain.shard.config import KeptShard, ShardConfig
from tests.shard import reference
from tests.shard.corpus import cut, make_corpus, read, shard


def rows(artifact, split="train"):
    return [document for part in read(artifact, split) for document in part]


def ledger(artifact):
    return [row for part in artifact.parts("ledger/") for row in read_ledger(artifact.open_part(part))]


def epochs_of(artifact, source):
    """How often each document of a source is in train."""
    return Counter(document.id for document in rows(artifact) if document.source == source)


AMOUNTS = st.sampled_from([0.0, 0.25, 0.5, 1.0, 1.75, 2.0, 4.0])


@settings(max_examples=12, deadline=None)
@given(
    num_documents=st.integers(20, 80),
    epochs=st.dictionaries(st.sampled_from(["source-0", "source-1"]), AMOUNTS),
    num_parts=st.integers(1, 5),
    num_input_parts=st.integers(1, 6),
    shuffle=st.booleans(),
    fraction=st.sampled_from([0.0, 0.1, 0.5]),
    seed=st.integers(0, 3),
)
def test_rows_and_their_order_are_those_of_a_brute_force_reference(
    tmp_path_factory, num_documents, epochs, num_parts, num_input_parts, shuffle, fraction, seed
):
    corpus = make_corpus(num_documents)
    mixture = {source: {"epochs": number} for source, number in epochs.items()}
    config = ShardConfig(parts=num_parts, validation_fraction=fraction, shuffle=shuffle, mixture=mixture)
    artifact, stats = shard(tmp_path_factory.mktemp("run"), cut(corpus, num_input_parts), config, seed=seed)
    in_validation = reference.is_in_validation(corpus, fraction, seed)
    validation = {document: 1 for document in corpus if in_validation[document.id]}
    train = {
        document: int(epochs.get(document.source, 1.0) + reference.draw(document.id, seed))
        for document in corpus
        if not in_validation[document.id]
    }
    assert rows(artifact) == reference.order(train, seed, shuffle=shuffle)
    assert rows(artifact, "validation") == reference.order(validation, seed, shuffle=shuffle)
    sizes = [len(part) for part in read(artifact, "train")]
    assert max(sizes) - min(sizes) <= 1
    dropped = {document.id for document, copies in train.items() if not copies}
    assert {row.id for row in ledger(artifact)} == dropped
    assert stats["documents_dropped"] == sum(stats["dropped_by_reason"].values()) == len(dropped)
    assert stats["documents_in"] == num_documents
    assert stats["documents_in"] == stats["documents_out"] - stats["documents_repeated"] + stats["documents_dropped"]


@settings(max_examples=8, deadline=None)
@given(
    num_documents=st.integers(20, 60),
    tokens=st.integers(1, 20_000),
    num_input_parts=st.integers(1, 4),
    seed=st.integers(0, 3),
)
def test_a_target_is_met_as_nearly_as_whole_documents_can(
    tmp_path_factory, num_documents, tokens, num_input_parts, seed
):
    corpus = make_corpus(num_documents, num_sources=2)
    mixture = {"source-0": {"tokens": tokens, "bytes_per_token": 1}}
    config = ShardConfig(parts=2, validation_fraction=0.2, mixture=mixture, max_epochs=10)
    of_source = [one for one in corpus if one.source == "source-0"]
    in_validation = reference.is_in_validation(corpus, 0.2, seed)
    train = [one for one in of_source if not in_validation[one.id]]
    if tokens > 10 * sum(len(one.text.encode()) for one in train):
        return
    artifact, stats = shard(tmp_path_factory.mktemp("run"), cut(corpus, num_input_parts), config, seed=seed)
    expected = reference.nearest_copies(train, tokens, seed)
    # Documents without text change no distance.
    assert +Counter({one.id: n for one, n in expected.items() if one.text}) == Counter(
        one.id for one in rows(artifact) if one.source == "source-0" and one.text
    )
    assert stats["mixture"]["source-0"]["asked"] == {"tokens": tokens, "bytes_per_token": 1.0}


CORPUS = make_corpus(600)


def test_every_document_is_in_train_as_often_as_its_source_has_epochs(tmp_path):
    mixture = {"source-0": {"epochs": 3}, "source-1": {"epochs": 0}}
    config = ShardConfig(parts=3, validation_fraction=0.1, mixture=mixture)
    artifact, stats = shard(tmp_path, cut(CORPUS, 3), config)
    in_validation = Counter(document.source for document in rows(artifact, "validation"))
    times = {source: set(epochs_of(artifact, source).values()) for source in ("source-0", "source-1", "source-2")}
    assert times == {"source-0": {3}, "source-1": set(), "source-2": {1}}
    assert {source: len(epochs_of(artifact, source)) for source in times} == {
        "source-0": 200 - in_validation["source-0"],
        "source-1": 0,
        "source-2": 200 - in_validation["source-2"],
    }
    assert set(in_validation) == set(times)
    assert stats["dropped_by_source"] == {"source-1": {"mixture_not_drawn": 200 - in_validation["source-1"]}}
    told = stats["mixture"]["source-0"]
    assert (told["asked"], told["epochs"], told["repeats"]) == ({"epochs": 3.0}, 3.0, 2 * told["documents"])
    assert told["bytes_out"] == 3 * told["bytes"] > 0
    assert stats["mixture"]["source-1"]["epochs"] == 0


def test_repeats_are_spread_over_the_whole_order(tmp_path):
    config = ShardConfig(parts=1, validation_fraction=0, mixture={"source-0": {"epochs": 2}})
    artifact, _ = shard(tmp_path, cut(CORPUS, 2), config)
    places: dict[str, list[int]] = {}
    for place, document in enumerate(rows(artifact)):
        places.setdefault(document.id, []).append(place)
    distances = [last - first for first, last in (p for p in places.values() if len(p) == 2)]
    # Two places of 800 are 267 apart on average, with a standard deviation of 189: of 200 pairs, 13.
    assert abs(sum(distances) / len(distances) - 267) < 5 * 13


def test_the_validation_split_is_the_same_whatever_the_mixture(tmp_path):
    config = ShardConfig(parts=1, validation_fraction=0.1)
    mixed = config.model_copy(update={"mixture": ShardConfig(mixture={"source-0": {"epochs": 0.3}}).mixture})
    plain, _ = shard(tmp_path / "plain", cut(CORPUS, 2), config)
    other, _ = shard(tmp_path / "mixed", cut(CORPUS, 2), mixed)
    [a], [b] = plain.parts("data/validation/"), other.parts("data/validation/")
    assert a.sha256 == b.sha256


def test_documents_drawn_for_a_fraction_are_drawn_for_a_larger_one_and_whatever_else_is_there(tmp_path):
    def drawn(name, documents, amount):
        config = ShardConfig(validation_fraction=0, mixture={"source-0": amount})
        return epochs_of(shard(tmp_path / name, cut(documents, 2), config)[0], "source-0")

    half, more = drawn("half", CORPUS, {"epochs": 0.5}), drawn("more", CORPUS, {"epochs": 0.7})
    assert half < more
    # 200 documents at 0.5: standard deviation 7.
    assert abs(len(half) - 100) < 35
    fewer = [document for document in CORPUS if document.source == "source-0"][::2]
    assert drawn("alone", fewer, {"epochs": 0.5}) == {i: 1 for i in half if i in {one.id for one in fewer}}
    assert drawn("small", CORPUS, {"tokens": 500}) < drawn("large", CORPUS, {"tokens": 2000})
    assert max(drawn("again", CORPUS, {"epochs": 1.5}).values()) == 2


def test_weights_share_the_target_and_a_source_without_one_gives_one_epoch(tmp_path):
    mixture = {"source-0": {"weight": 3}, "source-1": {"weight": 1}}
    config = ShardConfig(validation_fraction=0.1, mixture=mixture, target_tokens=8000, bytes_per_token=2)
    artifact, stats = shard(tmp_path, cut(CORPUS, 2), config)
    given = {source: told["bytes_out"] for source, told in stats["mixture"].items()}
    largest = max(len(document.text.encode()) for document in CORPUS)
    assert abs(given["source-0"] - 12_000) <= largest / 2
    assert abs(given["source-1"] - 4_000) <= largest / 2
    assert set(epochs_of(artifact, "source-2").values()) == {1}


def test_weights_without_a_target_give_as_much_as_they_can_without_a_repeat(tmp_path):
    mixture = {"source-0": {"weight": 2}, "source-1": {"weight": 1}}
    config = ShardConfig(validation_fraction=0, mixture=mixture)
    _, stats = shard(tmp_path, cut(CORPUS, 2), config)
    assert stats["mixture"]["source-0"]["epochs"] == 1
    assert stats["mixture"]["source-0"]["repeats"] == stats["mixture"]["source-1"]["repeats"] == 0
    assert stats["mixture"]["source-1"]["bytes_out"] == pytest.approx(
        stats["mixture"]["source-0"]["bytes"] / 2, rel=0.02
    )


def test_the_ledger_says_why_a_document_is_not_there(tmp_path):
    config = ShardConfig(validation_fraction=0, mixture={"source-2": {"epochs": 0.5}})
    artifact, stats = shard(tmp_path, cut(CORPUS, 3), config)
    dropped = ledger(artifact)
    assert [part.path for part in artifact.parts("ledger/")] == [f"ledger/part-0000{n}.parquet" for n in range(3)]
    assert {(row.stage, row.source, row.reason, row.threshold) for row in dropped} == {
        ("shard", "source-2", "mixture_not_drawn", 0.5)
    }
    assert all(0.5 < row.value <= 1 for row in dropped)
    assert stats["dropped_by_reason"] == {"mixture_not_drawn": len(dropped)}
    assert {row.id for row in dropped}.isdisjoint(epochs_of(artifact, "source-2"))


@pytest.fixture(scope="module", params=[2, 4])
def workers(request):
    with LocalRunner(request.param) as runner:
        yield runner


def test_bytes_do_not_depend_on_workers_or_on_the_parts_of_the_input(tmp_path, workers):
    mixture = {"source-0": {"epochs": 2.5}, "source-1": {"tokens": 700}, "source-2": {"weight": 1}}
    config = ShardConfig(parts=3, validation_fraction=0.1, mixture=mixture, target_tokens=3000)
    one, stats = shard(tmp_path / "one", cut(CORPUS, 4), config)
    several, several_stats = shard(tmp_path / "several", cut(CORPUS, 4), config, workers)
    rearranged, rearranged_stats = shard(tmp_path / "rearranged", cut(CORPUS[::-1], 7), config)
    data = [part.sha256 for part in one.parts()]
    assert data == [part.sha256 for part in several.parts()] == [part.sha256 for part in rearranged.parts()]
    assert [p.sha256 for p in one.parts("ledger/")] == [p.sha256 for p in several.parts("ledger/")]
    assert stats == several_stats == rearranged_stats


def test_a_document_never_changes_side_when_sources_are_added(tmp_path):
    added = [Document(document_id("new", "f", n), f"text {n}", "new") for n in range(300)]
    config = ShardConfig(validation_fraction=0.1, mixture={"source-0": {"epochs": 2}})
    before, _ = shard(tmp_path / "before", cut(CORPUS, 2), config)
    after, _ = shard(tmp_path / "after", cut(added + CORPUS, 5), config)
    old = {document.id for document in CORPUS}
    for split in ("train", "validation"):
        assert Counter(d for d in rows(after, split) if d.id in old) == Counter(rows(before, split))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"mixture": {"wiki": {"epochs": 1}}},
            r"names wiki, of which no document reached shard: correct it to some of source-0, source-1, source-2",
        ),
        (
            {"mixture": {"source-1": {"tokens": 1_000_000}}},
            r"asks for 4,000,000 bytes of text of source source-1: \d+(\.\d+)? epochs of its train text, above "
            r"shard.max_epochs 4. Ask for less",
        ),
        (
            {"mixture": {"source-1": {"weight": 0.1}}, "target_tokens": 1_000_000, "bytes_per_token": 1},
            r"asks for 1,000,000 bytes of text of source source-1",
        ),
    ],
)
def test_what_the_sources_cannot_give_is_refused(tmp_path, config, message):
    with pytest.raises(RecipeError, match=message):
        shard(tmp_path, cut(CORPUS, 2), ShardConfig(**config))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"mixture": {"a": {}}}, "exactly one of epochs, tokens and weight, not none"),
        ({"mixture": {"a": {"epochs": 1, "weight": 2}}}, "not epochs and weight"),
        ({"mixture": {"a": {"epochs": 5}}}, "mixture.a.epochs is 5, above max_epochs 4"),
        ({"target_tokens": 5}, "no source in mixture has a weight"),
        ({"weight_by_cluster_size": {1: 2}}, "a cluster has 2 documents or more, not 1"),
        ({"weight_by_cluster_size": {2: -1}}, "the weight of size 2 is -1; it must be 0 to 100"),
        ({"keep_shard": {"num_shards": 3, "index": 3}}, "index is 3, but 3 shards are numbered from 0"),
    ],
)
def test_a_config_that_cannot_be_meant_is_refused(config, message):
    with pytest.raises(ValidationError, match=message):
        ShardConfig(**config)


def test_a_train_split_that_the_mixture_leaves_empty_is_an_error(tmp_path):
    mixture = {f"source-{n}": {"epochs": 0} for n in range(3)}
    with pytest.raises(StageError, match="no document is left for train: 600 came, 600 of them in the shard"):
        shard(tmp_path, cut(CORPUS, 2), ShardConfig(mixture=mixture))


@pytest.mark.parametrize(("num_shards", "contiguous"), [(10, True), (10, False), (7, True), (103, True), (1, False)])
def test_the_shard_that_is_kept_is_that_of_datasets_row_by_row(tmp_path, num_shards, contiguous):
    corpus = make_corpus(103)
    whole = Dataset.from_list([document._asdict() for document in corpus])
    for index in {0, num_shards // 2, num_shards - 1}:
        kept = KeptShard(num_shards=num_shards, index=index, contiguous=contiguous)
        config = ShardConfig(parts=1, validation_fraction=0, shuffle=False, keep_shard=kept)
        artifact, stats = shard(tmp_path / str(index), cut(corpus, 4), config)
        expected = whole.shard(num_shards=num_shards, index=index, contiguous=contiguous)
        assert [document._asdict() for document in rows(artifact)] == expected.to_list()
        assert stats["documents_dropped"] == 103 - len(expected)
        assert {row.id for row in ledger(artifact)} == set(whole["id"]) - set(expected["id"])
        assert {(row.reason, row.value, row.threshold) for row in ledger(artifact)} <= {("other_shard", None, None)}


def test_the_shard_is_kept_before_documents_are_split_shuffled_and_mixed(tmp_path):
    kept = {"num_shards": 3, "index": 1}
    config = ShardConfig(validation_fraction=0.2, keep_shard=kept, mixture={"source-0": {"epochs": 2}})
    artifact, stats = shard(tmp_path / "kept", cut(CORPUS, 4), config)
    alone, _ = shard(tmp_path / "alone", [CORPUS[200:400]], config.model_copy(update={"keep_shard": None}))
    assert [part.sha256 for part in artifact.parts()] == [part.sha256 for part in alone.parts()]
    assert stats["dropped_by_reason"] == {"other_shard": 400}
    assert stats["mixture"]["source-0"]["epochs"] == 2


def test_ledgers_have_as_many_rows_as_their_parts_say(tmp_path):
    config = ShardConfig(validation_fraction=0, keep_shard={"num_shards": 3, "index": 0})
    artifact, _ = shard(tmp_path, cut(CORPUS, 3), config)
    num_rows = [pq.ParquetFile(artifact.open_part(part)).metadata.num_rows for part in artifact.parts("ledger/")]
    assert num_rows == [part.rows for part in artifact.parts("ledger/")] == [0, 200, 200]
    assert list(itertools.accumulate(num_rows))[-1] == 400
