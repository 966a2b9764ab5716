"""Config of the stage `filter`."""

from pydantic import Field

from pretrain.config import Config
from pretrain.filter.registry import RuleConfig

VERSION: int = 1


class FilterConfig(Config):
    """Which rules judge a document, in which order: `{rules: [{rule: course}, {rule: gopher_quality}]}`."""

    rules: tuple[RuleConfig, ...] = Field(
        min_length=1,
        description="In the order in which they judge; the first that drops a document gives its reason. "
        "A rule may stand more than once",
    )
