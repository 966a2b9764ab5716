import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.pack.fitting import best_fit, cut_documents


def greedy(lengths, length):
    """Best-fit-decreasing by its definition: a look at the room of every sequence for every piece."""
    room, changed, targets = [], [], [0] * len(lengths)
    for clock, piece in enumerate(sorted(range(len(lengths)), key=lambda piece: -lengths[piece])):
        fitting = [n for n in range(len(room)) if room[n] >= lengths[piece]]
        best = min(fitting, key=lambda n: (room[n], -changed[n]), default=len(room))
        if best == len(room):
            room.append(length)
            changed.append(0)
        room[best] -= lengths[piece]
        changed[best] = clock
        targets[piece] = best
    return targets


def fewest(lengths, length):
    """The least number of sequences, by trying every way to put pieces together."""
    best = len(lengths)

    def place(rest, room):
        nonlocal best
        if len(room) >= best:
            return
        if not rest:
            best = len(room)
            return
        for n in range(len(room)):
            if room[n] >= rest[0] and room[n] not in room[:n]:
                place(rest[1:], [*room[:n], room[n] - rest[0], *room[n + 1 :]])
        place(rest[1:], [*room, length - rest[0]])

    place(sorted(lengths, reverse=True), [])
    return best


@given(st.integers(1, 30), st.data())
@settings(deadline=None)
def test_pieces_go_where_a_look_at_every_sequence_puts_them(length, data):
    lengths = data.draw(st.lists(st.integers(1, length), max_size=40))
    assert best_fit(np.array(lengths, np.int64), length).tolist() == greedy(lengths, length)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=9))
@settings(deadline=None)
def test_beside_the_fewest_possible_sequences_it_keeps_within_its_bound(lengths):
    used = int(best_fit(np.array(lengths, np.int64), 12).max()) + 1
    assert fewest(lengths, 12) <= used <= 11 / 9 * fewest(lengths, 12) + 6 / 9  # Dosa 2007


def test_a_case_that_no_first_come_order_fills():
    assert best_fit(np.array([4, 7, 6, 3, 10, 10]), 10).tolist() == [3, 2, 3, 2, 0, 1]


def test_a_million_pieces_take_less_than_a_sequence_in_a_thousand_more_than_their_tokens():
    lengths = np.minimum(np.random.default_rng(0).lognormal(6, 1.2, 1_000_000).astype(np.int64) + 1, 2048)
    targets = best_fit(lengths, 2048)
    used = np.bincount(targets, lengths)
    assert used.max() <= 2048
    assert len(used) <= 1.001 * lengths.sum() / 2048


@pytest.mark.parametrize(
    ("borders", "num_tokens", "pieces"),
    [
        ([0, 3, 3, 10], 12, [(0, 3), (3, 4), (7, 3), (10, 2)]),
        ([0], 4, [(0, 4)]),
        ([0], 9, [(0, 4), (4, 4), (8, 1)]),
        ([], 0, []),
    ],
)
def test_documents_are_split_every_length_tokens(borders, num_tokens, pieces):
    found = cut_documents(np.array(borders, np.int64), num_tokens, 4)
    assert list(map(tuple, found.tolist())) == pieces


@given(st.lists(st.integers(0, 20), max_size=20), st.integers(1, 7))
def test_pieces_are_the_documents_in_order(sizes, length):
    borders = np.cumsum([0, *sizes])[:-1].astype(np.int64)
    found = cut_documents(borders, sum(sizes), length).tolist()
    assert [token for start, size in found for token in range(start, start + size)] == list(range(sum(sizes)))
    assert all(size <= length for _, size in found)
    assert len(found) == sum(-(-size // length) for size in sizes)  # no piece shorter than it has to be
