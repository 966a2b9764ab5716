import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pretrain.dedup.decision import Relations, decide
from pretrain.dedup.verification import VERIFIED


def relate(size, *, exact=(), words=(), links=()):
    """Groups as tuples of positions in keeper order, links as (left, right, similarity)."""
    exact_group, words_group = np.full(size, -1), np.arange(size)
    for group in exact:
        exact_group[list(group)] = min(group)
    for group in words:
        words_group[list(group)] = min(group)
    return Relations(exact_group, words_group, np.array(list(links), VERIFIED))


def outcome(relations):
    decisions = decide(relations)
    keepers, exact, value = (part.tolist() for part in decisions)
    return [
        "kept" if keeper < 0 else ("exact" if is_exact else "near", keeper, similarity)
        for keeper, is_exact, similarity in zip(keepers, exact, value, strict=True)
    ]


def test_copies_go_in_favour_of_the_first_in_keeper_order():
    assert outcome(relate(4, exact=[(0, 2, 3)])) == ["kept", "kept", ("exact", 0, 1.0), ("exact", 0, 1.0)]


def test_the_end_of_a_chain_stays_when_it_is_unlike_the_keeper():
    links = [(0, 1, 0.8), (1, 2, 0.8), (2, 3, 0.8)]
    assert outcome(relate(4, links=links)) == ["kept", ("near", 0, 0.8), "kept", ("near", 2, 0.8)]


def test_of_several_keepers_the_most_similar_is_named_then_the_first():
    assert outcome(relate(3, links=[(0, 2, 0.75), (1, 2, 0.9)]))[2] == ("near", 1, 0.9)
    assert outcome(relate(3, links=[(1, 2, 0.8), (0, 2, 0.8)]))[2] == ("near", 0, 0.8)


def test_a_copy_of_a_removed_document_names_the_document_that_was_kept():
    relations = relate(3, exact=[(1, 2)], words=[(1, 2)], links=[(0, 1, 0.9)])
    assert outcome(relations) == ["kept", ("near", 0, 0.9), ("near", 0, 0.9)]


def test_equal_words_are_a_near_duplicate_of_similarity_one():
    assert outcome(relate(2, words=[(0, 1)])) == ["kept", ("near", 0, 1.0)]


def test_an_equal_text_without_equal_words_stays_when_its_twin_went_for_another_reason():
    # 1 and 2 are equal after digits are folded, but only 1 was verified to be like 0
    relations = relate(3, exact=[(1, 2)], links=[(0, 1, 0.7)])
    assert outcome(relations) == ["kept", ("near", 0, 0.7), "kept"]


def test_nothing_is_decided_about_nothing():
    assert outcome(relate(0)) == []


@given(st.data())
def test_every_keeper_is_kept_and_related(data):
    size = data.draw(st.integers(1, 12))
    positions = st.integers(0, size - 1)
    link = st.tuples(positions, positions, st.sampled_from([0.7, 0.8, 0.9])).filter(lambda pair: pair[0] < pair[1])
    links = data.draw(st.lists(link, max_size=20, unique_by=lambda pair: pair[:2]))
    decisions = decide(relate(size, links=links))
    linked = {pair[:2]: pair[2] for pair in links}
    for position, keeper in enumerate(decisions.keeper.tolist()):
        if keeper >= 0:
            assert decisions.keeper[keeper] == -1
            assert keeper < position
            assert decisions.value[position] == linked[keeper, position]
    kept = np.flatnonzero(decisions.keeper < 0).tolist()
    assert not any((left, right) in linked for left in kept for right in kept)
