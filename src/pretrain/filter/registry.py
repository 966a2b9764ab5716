"""The rules that a recipe can name. A new one is a file in `rules/`, a line (and import) here, and a test."""

from typing import Annotated

from pydantic import Field

from pretrain.filter.rules.course import CourseConfig
from pretrain.filter.rules.gopher_quality import GopherQualityConfig
from pretrain.filter.rules.length import LengthConfig
from pretrain.filter.rules.pii import PiiConfig
from pretrain.filter.rules.regex import RegexConfig
from pretrain.filter.rules.url import UrlConfig

# fmt: off
AnyRuleConfig = Annotated[
    CourseConfig
    | GopherQualityConfig
    | LengthConfig
    | PiiConfig
    | RegexConfig
    | UrlConfig,
    Field(discriminator="rule"),
]
# fmt: on
