import pyarrow as pa
import pytest

from pretrain.filter.judgement import Judge
from pretrain.filter.rules.c4 import C4Config
from pretrain.filter.rules.course import CourseConfig
from pretrain.filter.rules.fineweb import FinewebConfig
from pretrain.filter.rules.gopher_quality import GopherQualityConfig
from pretrain.filter.rules.gopher_repetition import GopherRepetitionConfig
from tests.filter.judging import metrics_of


@pytest.fixture(scope="session", autouse=True)
def compiled_kernels():
    """Loops are compiled before a test that has a deadline for each example."""
    for config in (GopherRepetitionConfig(), GopherQualityConfig(), FinewebConfig(), C4Config()):
        metrics_of(config, "Some words.\n\nSome words.")
    Judge([("course", CourseConfig().make_rule({}))]).keeps(pa.chunked_array([["a"]], pa.large_string()))
