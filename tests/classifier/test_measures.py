import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.classifier.measures import area_under_curve, measures_at

SCORED = [(0.9, True), (0.8, True), (0.7, False), (0.4, True), (0.4, False), (0.1, False)]


@pytest.mark.parametrize(
    ("threshold", "precision", "recall", "f1", "negatives_kept"),
    [
        (0.0, 3 / 6, 1, 6 / 9, 1),
        (0.4, 3 / 5, 1, 6 / 8, 2 / 3),
        (0.41, 2 / 3, 2 / 3, 4 / 6, 1 / 3),
        (0.7, 2 / 3, 2 / 3, 4 / 6, 1 / 3),
        (0.71, 1, 2 / 3, 4 / 5, 0),
        (0.9, 1, 1 / 3, 2 / 4, 0),
        (0.91, None, 0, 0, 0),
    ],
)
def test_measures_at_a_threshold(threshold, precision, recall, f1, negatives_kept):
    assert measures_at(SCORED, threshold) == {
        "threshold": threshold,
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "negatives_kept": negatives_kept,
    }


def test_area_under_the_curve():
    # of 9 pairs, 7 have the positive text higher, and one is a tie
    assert area_under_curve(SCORED) == 7.5 / 9
    assert area_under_curve([(1.0, True), (0.0, False)]) == 1
    assert area_under_curve([(0.0, True), (1.0, False)]) == 0
    assert area_under_curve([(0.5, True), (0.5, False), (0.5, True)]) == 0.5


SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=20)


@given(SCORES, SCORES)
def test_area_is_the_share_of_pairs_that_are_in_order(positives, negatives):
    pairs = [(p > n) + (p == n) / 2 for p in positives for n in negatives]
    scored = [*((score, True) for score in positives), *((score, False) for score in negatives)]
    assert area_under_curve(scored) == pytest.approx(sum(pairs) / len(pairs))
