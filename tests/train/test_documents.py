"""The documents of a training sequence, by their ids: what a person looks at when a step is refused."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pretrain.errors import StageError
from pretrain.sequences import SequenceIndex, SplitIndex, TokenPart, TokenSequences
from pretrain.train.documents import documents_of
from tests.train.killing import train_here
from tests.train.tiny_training import context_in

# Two shards of 10 and 6 tokens; `empty` has none.
DOCUMENTS = [[("a", 3), ("empty", 0), ("b", 6), ("c", 1)], [("d", 4), ("e", 2)]]


def make_pack(folder, layout="concat", pieces=((), ())):
    parts = []
    for number, (documents, of_shard) in enumerate(zip(DOCUMENTS, pieces, strict=True)):
        path = f"part-0000{number}.tokens"
        tokens = sum(size for _, size in documents)
        (folder / path).write_bytes(np.arange(tokens, dtype="<u2").tobytes())
        columns = {"id": [name for name, _ in documents], "num_tokens": [size for _, size in documents]}
        part = TokenPart(path=path, tokens=tokens, documents=len(documents), sequences=len(of_shard))
        pq.write_table(pa.table(columns), folder / part.documents_path, row_group_size=2)
        if layout == "pieces":
            np.save(folder / part.pieces_path, np.array([piece for row in of_shard for piece in row], np.int64))
            np.save(folder / part.rows_path, np.cumsum([0, *(len(row) for row in of_shard)]).astype(np.int64))
        parts.append(part)
    num_sequences = 4 if layout == "concat" else sum(map(len, pieces))
    split = SplitIndex(parts=parts, tokens=16, sequences=num_sequences, tokens_dropped=0)
    index = SequenceIndex(
        dtype="uint16",
        vocab_size=64,
        sequence_length=4,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        layout=layout,
        splits={"train": split},
    )
    return TokenSequences(index, "train", [folder / part.path for part in parts])


@pytest.mark.parametrize(("position", "expected"), [(0, ["a", "b"]), (1, ["b"]), (2, ["b", "c", "d"]), (3, ["d", "e"])])
def test_a_sequence_of_the_stream_names_those_that_it_cuts(tmp_path, position, expected):
    assert documents_of(make_pack(tmp_path), position, tmp_path) == expected


def test_a_sequence_of_pieces_names_those_of_its_pieces(tmp_path):
    sequences = make_pack(tmp_path, "pieces", ([[(9, 1), (0, 3)], [(3, 4)]], [[(0, 4)]]))
    assert [documents_of(sequences, position, tmp_path) for position in range(3)] == [["c", "a"], ["b"], ["d"]]


@pytest.mark.parametrize("is_damaged", [False, True])
def test_without_the_lists_there_is_no_name(tmp_path, is_damaged):
    sequences = make_pack(tmp_path)
    for path in tmp_path.rglob("*.documents.parquet"):
        path.write_bytes(b"PAR1 no such") if is_damaged else path.unlink()
    assert documents_of(sequences, 0, tmp_path) == []


def test_a_step_that_is_refused_names_its_documents(tmp_path):
    context = context_in(tmp_path, learning_rate=1e30, warmup_steps=0, max_eval_sequences=0)
    columns = {"id": [f"doc-{number}" for number in range(40)], "num_tokens": [32] * 40}
    folder = context.inputs["pack"].open_part("data/index.json").parent
    pq.write_table(pa.table(columns), folder / "train/part-00000.documents.parquet")
    with pytest.raises(
        StageError,
        match=r"on training sequences 18, 27, 20, 17 \(documents doc-18, doc-27, doc-20, doc-17\)",
    ):
        train_here(context)
