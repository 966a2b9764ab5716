import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.pack.exporting import export_ranges
from pretrain.sequences import SequenceIndex, SplitIndex, TokenPart


def index_of(part_tokens, length):
    parts = [TokenPart(path=str(i), tokens=tokens, documents=1) for i, tokens in enumerate(part_tokens)]
    total = sum(part_tokens)
    split = SplitIndex(parts=parts, tokens=total, sequences=total // length, tokens_dropped=total % length)
    return SequenceIndex(
        dtype="uint16",
        vocab_size=9,
        sequence_length=length,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
        splits={"train": split},
    )


@pytest.mark.parametrize(
    ("part_tokens", "ranges"),
    [
        ([8, 8], [(0, 2), (2, 4)]),
        ([5, 6], [(0, 2)]),  # token 8 begins no whole sequence
        ([5, 7], [(0, 2), (2, 3)]),
        ([1, 1, 10], [(0, 1), (1, 3)]),
        ([3], []),
        ([], []),
    ],
)
def test_a_sequence_belongs_to_the_shard_that_it_begins_in(part_tokens, ranges):
    assert export_ranges(index_of(part_tokens, 4), "train") == ranges


@given(part_tokens=st.lists(st.integers(0, 50), max_size=10), length=st.integers(2, 20))
def test_ranges_hold_every_sequence_once(part_tokens, length):
    ranges = export_ranges(index_of(part_tokens, length), "train")
    listed = [sequence for start, stop in ranges for sequence in range(start, stop)]
    assert listed == list(range(sum(part_tokens) // length))
    assert all(start < stop for start, stop in ranges)
