"""What a rule says about a text: the outcome of each of its tests, and texts that it rewrites."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from pretrain.filter.textview import TextView

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

EVIDENCE_MAX_CHARS = 80  # one line of a terminal


class Check(NamedTuple):
    """The outcome of one test; a text stays when none of its tests failed.

    Attributes:
        metric: snake_case name of what was measured; two tests of a rule may share one (a minimum and a maximum).
        value: what was measured, or None where the text has nothing to measure (the mean of no words).
        is_failed: whether the text goes.
        reason: stable snake_case name of the test; what the ledger says when it fails.
        threshold: what the config allows, in the unit of `value`; None where the test has no number or is off.
        evidence: a short span of the text that shows why, or None.
    """

    metric: str
    value: float | None
    is_failed: bool
    reason: str
    threshold: float | None = None
    evidence: str | None = None


class Rewrite(NamedTuple):
    """The text goes on as another; `value` counts what was replaced, in the unit that the reason names."""

    text: str
    reason: str
    value: float | None = None
    threshold: float | None = None
    evidence: str | None = None


class Rule(Protocol):
    """Decides on one text. A pure function of the text, its document and the rule's config."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that `checks` can yield, in order: the columns of the rule in the metrics table."""

    def checks(self, view: TextView) -> Iterator[Check | Rewrite]:
        """The tests of the rule in their published order, each computed when it is asked for.

        A caller that needs the first failure alone stops there. Rewrites come in order; each holds the text
        after it, and rules that follow judge the last one.
        """


@runtime_checkable
class ColumnRule(Protocol):
    """A rule that can tell of many texts at once which of them stay, as most do, faster than one by one."""

    def keeps(self, texts: "pa.LargeStringArray") -> "NDArray[np.bool_]":
        """For each text, whether `checks` fails none of its tests, shape (num_texts,). False: not known here."""


def at_least(
    metric: str,
    value: float,
    reason: str,
    limit: float | None,
    evidence: Callable[[], str | None] | None = None,
) -> Check:
    """A test that fails below `limit`; None switches it off. `evidence` is asked only when it fails."""
    is_failed = limit is not None and value < limit
    return Check(metric, value, is_failed, reason, limit, evidence() if is_failed and evidence else None)


def at_most(
    metric: str,
    value: float,
    reason: str,
    limit: float | None,
    evidence: Callable[[], str | None] | None = None,
) -> Check:
    """A test that fails above `limit`; None switches it off. `evidence` is asked only when it fails."""
    is_failed = limit is not None and value > limit
    return Check(metric, value, is_failed, reason, limit, evidence() if is_failed and evidence else None)


def evidence_span(text: str) -> str:
    """The start of `text`, short enough for a ledger row."""
    if len(text) <= EVIDENCE_MAX_CHARS:
        return text
    return text[: EVIDENCE_MAX_CHARS - 1] + "…"


def ratio(part: float, whole: float) -> float:
    """The share of a part in a whole, and 0 of nothing."""
    return part / whole if whole else 0.0
