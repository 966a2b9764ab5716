r"""`regex`: drops or rewrites texts by regular expressions of one's own.

| config | reason | the text |
|---|---|---|
| `match: any` (default) | `regex_match` | goes when a pattern is found `min_count` times or more |
| `match: none` | `regex_no_match` | goes when no pattern is found so often |
| `replace: ...` | `regex_replaced` | stays, and every match of each pattern that is found so often becomes `replace` |

`reason` gives it another name in the ledger. The value is the number of matches, of the pattern with the most; the
evidence is the first match. Patterns are in the syntax of Python's `re`, `replace` too (`\1` is the first group), and
both are checked when the recipe is read; flags are written inside: `(?i)`. Matches do not overlap.

A pattern such as `(a+)+$` can take years on one text. Patterns are run by the package `regex`, which can be stopped,
and one that takes longer than `timeout_seconds` on a document ends the run with an error that names both: were the
document dropped, the result would depend on the speed of the machine. `on_timeout: drop` accepts that, with the
reason `regex_timeout`.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import regex
from pydantic import BeforeValidator, Field, model_validator

from pretrain.errors import RuleError
from pretrain.filter.rule_config import RuleConfig
from pretrain.filter.textview import TextView
from pretrain.filter.verdict import Check, Rewrite, at_least, at_most, evidence_span


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class RegexConfig(RuleConfig):
    """Which patterns are looked for, and what finding them means."""

    rule: Literal["regex"] = "regex"
    pattern: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = Field(
        min_length=1, description="One pattern or several, in the syntax of Python's re"
    )
    match: Literal["any", "none"] = Field(default="any", description="Drop where any is found, or where none is")
    min_count: int = Field(default=1, ge=1, description="Matches from which a pattern counts as found")
    replace: str | None = Field(default=None, description="What matches become, in place of dropping; null: drop")
    reason: str | None = Field(
        default=None, pattern=r"^[a-z][a-z0-9_]{0,63}$", description="Name in the ledger; null: regex_match, ..."
    )
    timeout_seconds: float = Field(default=10.0, gt=0, description="Longest time of one pattern on one document")
    on_timeout: Literal["fail", "drop"] = Field(
        default="fail", description="drop makes the result depend on the speed of the machine"
    )

    @model_validator(mode="after")
    def _check_patterns(self) -> Self:
        if self.replace is not None and self.match == "none":
            raise ValueError("replace: with match: none there is nothing to replace; leave one out")
        for pattern in self.pattern:
            try:
                compiled = re.compile(pattern)
                regex.compile(pattern)
                compiled.sub(self.replace or "", "")
            except (re.error, regex.error, IndexError) as error:
                raise ValueError(f"pattern {pattern!r} or its replace is not valid: {error}") from error
        return self

    def make_rule(self, files: Mapping[str, Path]) -> "Regex":
        """The rule with these patterns."""
        return Regex(self)


class Regex:
    """The patterns of one config."""

    metrics = ("num_matches",)

    def __init__(self, config: RegexConfig) -> None:
        self.config = config
        self._patterns = [regex.compile(pattern) for pattern in config.pattern]

    def checks(self, view: TextView) -> Iterator[Check | Rewrite]:
        """One test over all patterns, or a rewrite for each that is found."""
        try:
            if self.config.replace is None:
                yield self._check(view.text)
            else:
                yield from self._rewrites(view.text, self.config.replace)
        except TimeoutError:
            seconds, document = self.config.timeout_seconds, view.document.id if view.document else "(none)"
            if self.config.on_timeout == "fail":
                raise RuleError(
                    f"a pattern of the rule regex took longer than {seconds} s on document {document}: "
                    f"{' or '.join(self.config.pattern)}; write it without nested repeats, give it more "
                    "timeout_seconds, or let such documents go by `on_timeout: drop`"
                ) from None
            yield Check("num_matches", None, True, "regex_timeout", seconds)

    def _check(self, text: str) -> Check:
        most, first = 0, None
        for pattern in self._patterns:
            spans = [match.span() for match in pattern.finditer(text, timeout=self.config.timeout_seconds)]
            if len(spans) > most:
                most, first = len(spans), spans[0]
        evidence = evidence_span(text[slice(*first)]) if first else None
        if self.config.match == "any":
            reason = self.config.reason or "regex_match"
            return at_most("num_matches", most, reason, self.config.min_count - 1, lambda: evidence)
        reason = self.config.reason or "regex_no_match"
        return at_least("num_matches", most, reason, self.config.min_count, lambda: evidence)

    def _rewrites(self, text: str, replace: str) -> Iterator[Rewrite]:
        for pattern in self._patterns:
            first = pattern.search(text, timeout=self.config.timeout_seconds)
            new_text, num_matches = pattern.subn(replace, text, timeout=self.config.timeout_seconds)
            if first and num_matches >= self.config.min_count and new_text != text:
                evidence = evidence_span(first.group())
                yield Rewrite(new_text, self.config.reason or "regex_replaced", num_matches, None, evidence)
                text = new_text
