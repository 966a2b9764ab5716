"""How well scores tell positive texts from negative ones."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

SHOWN_THRESHOLDS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)

# A score, and whether the text is positive.
Scored = tuple[float, bool]


def measures_at(scored: Sequence[Scored], threshold: float) -> dict[str, Any]:
    """What a threshold does: texts with a score of at least `threshold` count as positive.

    Returns:
        threshold; precision (of those kept, the share that is positive; None where none is kept), recall (of the
        positive, the share kept), f1 (their harmonic mean) and negatives_kept (of the negative, the share kept).
    """
    num_positive = sum(is_positive for _, is_positive in scored)
    true_positives = sum(is_positive for score, is_positive in scored if score >= threshold)
    num_kept = sum(score >= threshold for score, _ in scored)
    num_wrong = num_kept - true_positives
    return {
        "threshold": threshold,
        "precision": true_positives / num_kept if num_kept else None,
        "recall": true_positives / num_positive,
        "f1": 2 * true_positives / (num_kept + num_positive),
        "negatives_kept": num_wrong / (len(scored) - num_positive),
    }


def area_under_curve(scored: Sequence[Scored]) -> float:
    """The probability that a positive text has a higher score than a negative one, a tie counting half (ROC AUC).

    Source: Mann and Whitney's U by sums of ranks; Fawcett 2006, "An introduction to ROC analysis", section 7.
    """
    num_lower_negatives, favourable = 0, 0.0
    for _, group in groupby(sorted(scored), key=itemgetter(0)):
        is_positive = [flag for _, flag in group]
        num_positive = sum(is_positive)
        num_negative = len(is_positive) - num_positive
        favourable += num_positive * (num_lower_negatives + num_negative / 2)
        num_lower_negatives += num_negative
    return favourable / (num_lower_negatives * (len(scored) - num_lower_negatives))
