"""Config of the stage `filter`."""

from pydantic import Field

from pretrain.config import Config
from pretrain.filter.registry import AnyRuleConfig

VERSION: int = 2


class FilterConfig(Config):
    """Which rules judge a document, in which order: `{rules: [{rule: course}, {rule: gopher_quality}]}`."""

    rules: tuple[AnyRuleConfig, ...] = Field(
        min_length=1,
        description="In the order in which they judge; the first that drops a document gives its reason. "
        "A rule may stand more than once",
    )
    exhaustive: bool = Field(
        default=False,
        description="Make every test of every rule, also after one failed: the table `metrics/` lists all that "
        "failed for each document; the ledger has the first, as otherwise",
    )
    record_metrics: bool = Field(
        default=False,
        description="Write what every rule measured on every document to the table `metrics/`, so that thresholds "
        "can be chosen anew without measuring again; makes every test, as `exhaustive` does",
    )
