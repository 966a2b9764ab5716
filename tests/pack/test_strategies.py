"""Sequences of whole documents: nothing lost, nothing twice, nothing cut that fits, and what is padded is told."""

import itertools

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pretrain.errors import RecipeError
from pretrain.pack.config import PackConfig
from pretrain.runner import LocalRunner
from pretrain.sequences import TokenSequences, read_index
from tests.pack.test_stage import pack
from tests.sequences.stage_inputs import pep_documents

texts = st.lists(st.text("the ab", max_size=30), max_size=6)


def documents_of(artifact, split):
    """The tokens of every document, in order, from the shards themselves."""
    found = []
    for part in read_index(artifact).splits[split].parts:
        tokens = np.fromfile(artifact.open_part(part.path), "<u2").tolist()
        sizes = pq.read_table(artifact.open_part(part.documents_path))["num_tokens"].to_pylist()
        ends = list(itertools.accumulate(sizes))
        found += [tokens[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    return found


def pieces_of(sequences):
    """The pieces of every sequence, as tokens, read through the loader."""
    found = []
    for position in range(len(sequences)):
        row, (_, numbers) = sequences[position], sequences.documents([position])
        found.append([row[numbers[0] == number].tolist() for number in range(numbers.max() + 1)])
        assert (row[numbers[0] < 0] == sequences.index.padding_id).all()
    return found


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    train=st.lists(texts, min_size=1, max_size=3),
    length=st.integers(3, 12),
    strategy=st.sampled_from(["best_fit", "pad"]),
    frame=st.booleans(),
)
def test_every_document_is_in_the_sequences_once_and_whole_where_it_fits(
    tmp_path_factory, train, length, strategy, frame
):
    config = PackConfig(sequence_length=length, strategy=strategy, bos=frame, eos=frame)
    artifact, stats, _ = pack(tmp_path_factory.mktemp("pack"), [["the first"], *train], [], config)
    sequences = TokenSequences.from_artifact(artifact, "train")
    expected = [
        document[start : start + length]
        for document in documents_of(artifact, "train")
        for start in range(0, len(document), length)
    ]
    rows = pieces_of(sequences)
    assert sorted(itertools.chain.from_iterable(rows)) == sorted(expected)
    assert stats["documents_cut"] == sum(len(document) > length for document in documents_of(artifact, "train"))
    assert stats["tokens"] + stats["tokens_padded"] == stats["sequences"] * length
    assert stats["tokens_dropped"] == 0
    if strategy == "pad":
        assert [len(row) for row in rows] == [1] * len(expected)
    else:
        assert all(sum(map(len, row)) <= length for row in rows)


def test_concat_with_a_padded_tail_keeps_every_token(tmp_path):
    config = PackConfig(sequence_length=4, tail="pad")
    artifact, stats, _ = pack(tmp_path, [["a the", "b"], ["the"]], [], config)  # 4, 3 and 3 tokens
    sequences = TokenSequences.from_artifact(artifact, "train")
    stream = [token for document in documents_of(artifact, "train") for token in document]
    assert sequences.batch(range(3)).ravel().tolist() == [*stream, 2, 2]  # the tokenizer's padding token
    assert (stats["tokens_dropped"], stats["tokens_padded"], stats["packing_efficiency"]) == (0, 2, round(10 / 12, 6))
    position_ids, document_ids = sequences.documents(range(3))
    assert position_ids.tolist() == [[0, 1, 2, 3], [0, 1, 2, 0], [0, 1, 0, 0]]
    assert document_ids.tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, -1, -1]]


def test_positions_and_documents_are_exported(tmp_path):
    config = PackConfig(sequence_length=4, strategy="pad")
    artifact, _, _ = pack(tmp_path, [["a the", "b"]], [["the the the"]], config)
    rows = [
        row for part in artifact.parts("export/train/") for row in pq.read_table(artifact.open_part(part)).to_pylist()
    ]
    assert [row["position_ids"] for row in rows] == [[0, 1, 2, 3], [0, 1, 2, 0]]
    assert [row["document_ids"] for row in rows] == [[0, 0, 0, 0], [0, 0, 0, -1]]
    assert all(row["input_ids"][-1] in (1, 2) for row in rows)
    split = pq.read_table(artifact.open_part(artifact.parts("export/validation/")[0])).to_pylist()
    assert [row["document_ids"] for row in split] == [[0, 0, 0, 0], [0, -1, -1, -1]]


def test_real_documents_are_cut_less_than_by_concat_at_the_same_number_of_sequences(tmp_path):
    documents = pep_documents(60)
    stats = {}
    for strategy in ("concat", "best_fit", "pad"):
        config = PackConfig(sequence_length=1024, strategy=strategy)
        _, stats[strategy], _ = pack(tmp_path / strategy, [documents[:30], documents[30:]], [], config)
    longer = stats["best_fit"]["documents_cut"]
    assert longer == stats["pad"]["documents_cut"] < stats["concat"]["documents_cut"]
    assert stats["best_fit"]["packing_efficiency"] > 0.99
    assert stats["best_fit"]["sequences"] <= 1.01 * stats["concat"]["sequences"]
    assert stats["pad"]["packing_efficiency"] < stats["best_fit"]["packing_efficiency"]


@pytest.mark.parametrize("strategy", ["best_fit", "pad"])
def test_workers_do_not_change_a_byte(tmp_path, strategy):
    documents = pep_documents(12)
    config = PackConfig(sequence_length=64, strategy=strategy, isolate_documents=True)
    parts = [documents[:3], documents[3:4], documents[4:]]
    one, _, _ = pack(tmp_path / "one", parts, [documents[:2]], config)
    with LocalRunner(2) as runner:
        two, _, _ = pack(tmp_path / "two", parts, [documents[:2]], config, runner=runner)
    assert one.manifest.parts == two.manifest.parts


def test_what_has_no_tail_refuses_the_word():
    with pytest.raises(ValueError, match="tail: best_fit loses no tail; leave it out"):
        PackConfig(sequence_length=8, strategy="best_fit", tail="pad")


def test_a_tokenizer_without_a_padding_token_pads_with_its_eos(tmp_path):
    config = PackConfig(sequence_length=8, strategy="pad")
    artifact, _, _ = pack(tmp_path, [["a"]], [], config, roles=("bos_token", "eos_token"))
    assert TokenSequences.from_artifact(artifact, "train")[0].tolist()[3:] == [1] * 5
    with pytest.raises(RecipeError, match="names no eos token"):
        pack(tmp_path / "none", [["a"]], [], config, roles=("bos_token",))
