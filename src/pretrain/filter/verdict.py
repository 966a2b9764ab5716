"""What a rule says about a text."""

from typing import NamedTuple, Protocol

from pretrain.filter.textview import TextView

EVIDENCE_MAX_CHARS = 80  # one line of a terminal


class Drop(NamedTuple):
    """The document goes.

    Attributes:
        reason: stable snake_case name of the test that failed.
        value: what was measured; its unit is the threshold's.
        threshold: what the config allows, or None where the test has no number.
        evidence: a short span of the text that shows why, or None.
    """

    reason: str
    value: float | None = None
    threshold: float | None = None
    evidence: str | None = None


class Rewrite(NamedTuple):
    """The document stays with another text; the other attributes are those of `Drop`."""

    text: str
    reason: str
    value: float | None = None
    threshold: float | None = None
    evidence: str | None = None


# None: the document stays as it is.
Verdict = Drop | Rewrite | None


class Rule(Protocol):
    """Decides on one text. A pure function of the text and the rule's config."""

    def __call__(self, view: TextView) -> Verdict:
        """The verdict on the text of `view`."""


def evidence_span(text: str) -> str:
    """The start of `text`, short enough for a ledger row."""
    if len(text) <= EVIDENCE_MAX_CHARS:
        return text
    return text[: EVIDENCE_MAX_CHARS - 1] + "…"
