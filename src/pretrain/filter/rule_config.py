"""The base of every rule's config: what a rule needs from outside, and how it is made."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from pretrain.config import Config
from pretrain.external import ExternalInput, Surroundings
from pretrain.filter.verdict import Rule


class RuleConfig(Config):
    """Thresholds of one rule. A subclass has a literal field `rule`, its name in recipes."""

    rule: str = Field(description="Name of the rule")

    def external(self, name: str, around: Surroundings) -> ExternalInput | None:
        """The outside files that the rule reads (lists, models, code), as an input named `name`; None: it reads none.

        Raises:
            InputError: one is not there.
        """
        return None

    def make_rule(self, files: Mapping[str, Path]) -> Rule:
        """The rule with these thresholds.

        Args:
            files: local paths of the files of `external` by their name there, checked to be unchanged.
        """
        raise TypeError(f"{type(self).__name__} makes no rule")
