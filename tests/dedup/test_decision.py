import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.dedup.decision import EXACT, decide
from pretrain.dedup.exact import GOES, GOES_WITHOUT_KEEPER, STAYS
from pretrain.dedup.relations import Related

REMOVABLE, PROTECTED = 3 << 62, 1 << 63


def relate(size, *, exact=(), words=(), links=(), protected=(), without_keeper=()):
    """Groups as tuples of positions in keeper order, links as (left, right, similarity)."""
    exact_keeper, code, words_group = np.full(size, -1), np.zeros(size, np.int64), np.arange(size)
    for first, *others in exact:
        exact_keeper[others], code[others] = first, GOES
    code[list(protected)] = STAYS
    for first, other in without_keeper:
        exact_keeper[first], code[first] = other, GOES_WITHOUT_KEEPER
    for group in words:
        words_group[list(group)] = min(group)
    keys = np.zeros((size, 4), np.uint64)
    keys[:, 0] = REMOVABLE
    keys[list(protected), 0] = PROTECTED
    columns = list(zip(*links, strict=True)) or [(), (), ()]
    return Related(
        np.arange(size),
        keys,
        np.zeros(size, np.int64),
        exact_keeper,
        code,
        words_group,
        np.array(columns[0], np.int64),
        np.array(columns[1], np.int64),
        np.array(columns[2], np.float64),
    )


def outcome(related, **options):
    decisions = decide(related, **options)
    return [
        "kept" if evidence < 0 else ("exact" if reason == EXACT else "near", evidence, similarity)
        for evidence, reason, similarity, _ in zip(*(part.tolist() for part in decisions), strict=True)
    ]


def test_copies_go_in_favour_of_the_first_in_keeper_order():
    assert outcome(relate(4, exact=[(0, 2, 3)])) == ["kept", "kept", ("exact", 0, 1.0), ("exact", 0, 1.0)]


def test_the_end_of_a_chain_stays_when_it_is_unlike_the_keeper():
    links = [(0, 1, 0.8), (1, 2, 0.8), (2, 3, 0.8)]
    assert outcome(relate(4, links=links)) == ["kept", ("near", 0, 0.8), "kept", ("near", 2, 0.8)]


def test_of_several_keepers_the_most_similar_is_named_then_the_first():
    assert outcome(relate(3, links=[(0, 2, 0.75), (1, 2, 0.9)]))[2] == ("near", 1, 0.9)
    assert outcome(relate(3, links=[(1, 2, 0.8), (0, 2, 0.8)]))[2] == ("near", 0, 0.8)


def test_equal_words_are_a_near_duplicate_of_similarity_one_and_share_links():
    assert outcome(relate(2, words=[(0, 1)])) == ["kept", ("near", 0, 1.0)]
    assert outcome(relate(3, words=[(1, 2)], links=[(0, 1, 0.9)])) == ["kept", ("near", 0, 0.9), ("near", 0, 0.9)]


def test_a_copy_of_a_document_that_goes_is_in_the_cluster_of_the_one_that_stays():
    related = relate(3, exact=[(1, 2)], links=[(0, 1, 0.9)])
    assert outcome(related) == ["kept", ("near", 0, 0.9), ("exact", 1, 1.0)]
    assert decide(related).cluster.tolist() == [0, 0, 0]


def test_what_may_not_go_stays_and_joins_the_clusters_of_all_that_it_repeats():
    related = relate(4, links=[(0, 2, 0.8), (1, 2, 0.7), (2, 3, 0.9)], protected=[0, 1, 2])
    assert outcome(related) == ["kept", "kept", "kept", ("near", 2, 0.9)]
    assert decide(related).cluster.tolist() == [0, 0, 0, 0]
    assert outcome(relate(2, exact=[(0, 1)], words=[(0, 1)], protected=[0, 1])) == ["kept", "kept"]


def test_none_keeps_no_document_that_has_a_duplicate():
    chain = relate(5, links=[(0, 1, 0.8), (1, 2, 0.9)])
    expected = [("near", 1, 0.8), ("near", 0, 0.8), ("near", 1, 0.9), "kept", "kept"]
    assert outcome(chain, drops_all=True) == expected
    assert outcome(relate(3, words=[(0, 2)]), drops_all=True) == [("near", 2, 1.0), "kept", ("near", 0, 1.0)]
    copies = relate(3, exact=[(0, 1)], without_keeper=[(0, 1)])
    assert outcome(copies, drops_all=True) == [("exact", 1, 1.0), ("exact", 0, 1.0), "kept"]


@pytest.mark.parametrize("drops_all", [False, True])
def test_nothing_is_decided_about_nothing(drops_all):
    assert outcome(relate(0), drops_all=drops_all) == []


@given(st.data())
def test_every_keeper_is_kept_and_related(data):
    size = data.draw(st.integers(1, 12))
    positions = st.integers(0, size - 1)
    link = st.tuples(positions, positions, st.sampled_from([0.7, 0.8, 0.9])).filter(lambda pair: pair[0] < pair[1])
    links = data.draw(st.lists(link, max_size=20, unique_by=lambda pair: pair[:2]))
    decisions = decide(relate(size, links=links))
    linked = {pair[:2]: pair[2] for pair in links}
    for position, keeper in enumerate(decisions.evidence.tolist()):
        if keeper >= 0:
            assert decisions.evidence[keeper] == -1
            assert keeper < position
            assert decisions.value[position] == linked[keeper, position]
    kept = np.flatnonzero(decisions.evidence < 0).tolist()
    assert not any((left, right) in linked for left in kept for right in kept)
