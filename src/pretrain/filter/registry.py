"""The rules that a recipe can name. A new one is a file in `rules/`, a line (and import) here, and a test."""

from typing import Annotated

from pydantic import Field

from pretrain.filter.rules.c4 import C4Config
from pretrain.filter.rules.code import CodeConfig
from pretrain.filter.rules.course import CourseConfig
from pretrain.filter.rules.fineweb import FinewebConfig
from pretrain.filter.rules.gopher_quality import GopherQualityConfig
from pretrain.filter.rules.gopher_repetition import GopherRepetitionConfig
from pretrain.filter.rules.lambda_function import LambdaConfig
from pretrain.filter.rules.length import LengthConfig
from pretrain.filter.rules.pii import PiiConfig
from pretrain.filter.rules.quality_classifier import QualityClassifierConfig
from pretrain.filter.rules.regex import RegexConfig
from pretrain.filter.rules.url import UrlConfig

# fmt: off
AnyRuleConfig = Annotated[
    C4Config
    | CodeConfig
    | CourseConfig
    | FinewebConfig
    | GopherQualityConfig
    | GopherRepetitionConfig
    | LambdaConfig
    | LengthConfig
    | PiiConfig
    | QualityClassifierConfig
    | RegexConfig
    | UrlConfig,
    Field(discriminator="rule"),
]
# fmt: on
