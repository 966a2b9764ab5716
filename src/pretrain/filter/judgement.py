"""What a list of rules together says about one text."""

from collections.abc import Sequence
from typing import NamedTuple

from pretrain.filter.textview import TextView
from pretrain.filter.verdict import Drop, Rewrite, Rule


class Judgement(NamedTuple):
    """The outcome for one text.

    Attributes:
        text: the text after all rewrites; what a later rule judged.
        rewrites: every change, in order.
        drop: why the document goes, or None when it stays.
    """

    text: str
    rewrites: tuple[Rewrite, ...]
    drop: Drop | None


def judge(rules: Sequence[Rule], text: str) -> Judgement:
    """Applies the rules in order, each to the text as earlier ones rewrote it; the first drop ends it."""
    view = TextView(text)
    rewrites: list[Rewrite] = []
    for rule in rules:
        verdict = rule(view)
        if isinstance(verdict, Drop):
            return Judgement(view.text, tuple(rewrites), verdict)
        if isinstance(verdict, Rewrite):
            rewrites.append(verdict)
            view = TextView(verdict.text)
    return Judgement(view.text, tuple(rewrites), None)
