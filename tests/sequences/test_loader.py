import multiprocessing
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.errors import NotInStoreError, StoreVersionError
from pretrain.sequences import (
    SequenceIndex,
    SplitIndex,
    TokenPart,
    TokenSequences,
    TokenStream,
    read_index,
    token_dtype,
)


def write_folder(folder, part_sizes, length, dtype="uint16"):
    """A pack artifact's folder whose train stream is 0, 1, 2, ... in parts of the given sizes."""
    tokens = np.arange(sum(part_sizes), dtype=np.dtype(dtype).newbyteorder("<"))
    (folder / "data/train").mkdir(parents=True)
    parts = []
    for index, piece in enumerate(np.split(tokens, np.cumsum(part_sizes)[:-1])):
        path = f"data/train/part-{index:05d}.tokens"
        (folder / path).write_bytes(piece.tobytes())
        parts.append(TokenPart(path=path, tokens=len(piece), documents=1))
    split = SplitIndex(
        parts=parts, tokens=len(tokens), sequences=len(tokens) // length, tokens_dropped=len(tokens) % length
    )
    empty = SplitIndex(parts=[], tokens=0, sequences=0, tokens_dropped=0)
    index = SequenceIndex(
        dtype=dtype,
        vocab_size=max(len(tokens), 1),
        sequence_length=length,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
        splits={"train": split, "validation": empty},
    )
    (folder / "data/index.json").write_text(index.model_dump_json())
    return index


def test_sequences_are_consecutive_windows_of_the_stream(tmp_path):
    write_folder(tmp_path, [5, 1, 0, 9], length=4)
    sequences = TokenSequences.from_folder(tmp_path, "train")
    assert len(sequences) == 3
    assert [sequence.tolist() for sequence in sequences] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert sequences[0].dtype == np.int64
    assert sequences[-1].tolist() == [8, 9, 10, 11]
    with pytest.raises(IndexError, match="sequence 3 of 3 in split 'train'"):
        sequences[3]


@given(part_sizes=st.lists(st.integers(0, 30), min_size=1, max_size=8), length=st.integers(2, 12))
def test_every_token_but_the_tail_comes_once_in_order(tmp_path_factory, part_sizes, length):
    folder = tmp_path_factory.mktemp("pack")
    write_folder(folder, part_sizes, length)
    sequences = TokenSequences.from_folder(folder, "train")
    seen = np.concatenate([np.empty(0, np.int64), *[sequences[i] for i in range(len(sequences))]])
    assert seen.tolist() == list(range(sum(part_sizes) // length * length))
    assert sequences.batch(np.arange(len(sequences))).ravel().tolist() == seen.tolist()


def test_a_batch_has_one_row_for_each_position(tmp_path):
    write_folder(tmp_path, [7, 9], length=4)
    sequences = TokenSequences.from_folder(tmp_path, "train")
    assert sequences.batch([3, 1]).tolist() == [[12, 13, 14, 15], [4, 5, 6, 7]]
    assert sequences.batch([]).shape == (0, 4)


def test_ids_above_65535_are_read_from_uint32(tmp_path):
    write_folder(tmp_path, [70_000], length=10_000, dtype="uint32")
    assert TokenSequences.from_folder(tmp_path, "train")[6].tolist() == list(range(60_000, 70_000))


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_535, "uint16"), (65_536, "uint16"), (65_537, "uint32")])
def test_the_smallest_type_that_holds_the_largest_id(vocab_size, dtype):
    assert token_dtype(vocab_size) == dtype
    assert np.iinfo(dtype).max >= vocab_size - 1


def test_an_empty_split_has_no_sequences(tmp_path):
    write_folder(tmp_path, [8], length=4)
    assert len(TokenSequences.from_folder(tmp_path, "validation")) == 0


def test_an_unknown_split_is_named(tmp_path):
    write_folder(tmp_path, [8], length=4)
    with pytest.raises(NotInStoreError, match=r"no split 'test' .* \['train', 'validation'\]"):
        TokenSequences.from_folder(tmp_path, "test")


def test_an_index_of_another_layout_is_not_misread(tmp_path):
    write_folder(tmp_path, [8], length=4)
    path = tmp_path / "data/index.json"
    path.write_text(path.read_text().replace('"concat"', '"interleaved"'))
    with pytest.raises(StoreVersionError, match="upgrade pretrain"):
        read_index(tmp_path)


def test_pickled_sequences_open_their_maps_anew(tmp_path):
    write_folder(tmp_path, [7, 9], length=4)
    sequences = TokenSequences.from_folder(tmp_path, "train")
    sequences[1]
    data = pickle.dumps(sequences)
    assert len(data) < 2000
    assert pickle.loads(data)[1].tolist() == [4, 5, 6, 7]


def test_a_spawned_worker_reads_the_same(tmp_path):
    write_folder(tmp_path, [7, 9], length=4)
    sequences = TokenSequences.from_folder(tmp_path, "train")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(sequences.__getitem__, (2,)).tolist() == [8, 9, 10, 11]


def test_a_stream_is_read_across_any_shards(tmp_path):
    index = write_folder(tmp_path, [2, 0, 1, 3], length=2)
    parts = index.splits["train"].parts
    stream = TokenStream([tmp_path / p.path for p in parts], [p.tokens for p in parts], "uint16")
    assert len(stream) == 6
    for start in range(6):
        for stop in range(start, 7):
            assert stream.read(start, stop).tolist() == list(range(start, stop))
    assert not stream.read(0, 1).flags.writeable
