"""What a list of rules together says about one text."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pretrain.documents import Document
from pretrain.filter.textview import TextView
from pretrain.filter.verdict import Check, ColumnRule, Rewrite, Rule


class Judgement(NamedTuple):
    """The outcome for one text.

    Attributes:
        text: the text after all rewrites; what the last rule judged.
        rewrites: every change, in order.
        failed: tests that failed, by order of rule and test, each with the label of its rule. The first one gives
            the reason; it is alone unless the judge is exhaustive. Empty when the text stays.
        metrics: the measured values by `<label>.<metric>`; complete only when the judge is exhaustive.
    """

    text: str
    rewrites: tuple[Rewrite, ...]
    failed: tuple[tuple[str, Check], ...]
    metrics: dict[str, float | None]

    @property
    def drop(self) -> Check | None:
        """Why the text goes, or None when it stays."""
        return self.failed[0][1] if self.failed else None


class Judge:
    """Applies rules in order, each to the text as earlier ones rewrote it.

    Args:
        rules: pairs of a rule's name and the rule, in order.
        exhaustive: make every test of every rule. Otherwise the first that fails ends it.
    """

    def __init__(self, rules: Iterable[tuple[str, Rule]], *, exhaustive: bool = False) -> None:
        named = list(rules)
        labels = _labels([name for name, _ in named])
        self._rules = list(zip(labels, (rule for _, rule in named), strict=True))
        self._columns = {label: {metric: f"{label}.{metric}" for metric in rule.metrics} for label, rule in self._rules}
        self._exhaustive = exhaustive

    @property
    def metrics(self) -> list[str]:
        """Every metric as `<label>.<metric>`: the columns of the metrics table, in order."""
        return [column for columns in self._columns.values() for column in columns.values()]

    def keeps(self, texts: pa.ChunkedArray) -> list[bool]:
        """For each text of a column, whether it is known without a judgement that it stays as it is.

        It is where every rule is a `ColumnRule` and no metric is asked for. False: judge it.
        """
        if self._exhaustive or not len(texts) or not all(isinstance(rule, ColumnRule) for _, rule in self._rules):
            return [False] * len(texts)
        column = texts.combine_chunks()
        masks = [rule.keeps(column) for _, rule in self._rules if isinstance(rule, ColumnRule)]
        kept: list[bool] = np.logical_and.reduce(masks).tolist()
        return kept

    def __call__(self, text: str, document: Document | None = None) -> Judgement:
        """The judgement on one text; `document` is what it belongs to, for rules that read more than the text."""
        view = TextView(text, document)
        rewrites: list[Rewrite] = []
        failed: list[tuple[str, Check]] = []
        metrics: dict[str, float | None] = {}
        for label, rule in self._rules:
            rewritten, columns = view.text, self._columns[label]
            for outcome in rule.checks(view):
                if isinstance(outcome, Rewrite):
                    rewrites.append(outcome)
                    rewritten = outcome.text
                    continue
                metrics[columns[outcome.metric]] = outcome.value
                if outcome.is_failed:
                    failed.append((label, outcome))
                    if not self._exhaustive:
                        return Judgement(view.text, tuple(rewrites), tuple(failed), metrics)
            if rewritten is not view.text:
                view = TextView(rewritten, document)
        return Judgement(view.text, tuple(rewrites), tuple(failed), metrics)


def _labels(names: Sequence[str]) -> list[str]:
    """A label for each rule: its name, with `#2`, `#3` ... where one stands more than once."""
    seen: Counter[str] = Counter()
    labels = []
    for name in names:
        seen[name] += 1
        labels.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return labels
