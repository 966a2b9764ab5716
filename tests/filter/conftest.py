import pytest

from pretrain.filter.rules.fineweb import FinewebConfig
from pretrain.filter.rules.gopher_quality import GopherQualityConfig
from pretrain.filter.rules.gopher_repetition import GopherRepetitionConfig
from tests.filter.judging import metrics_of


@pytest.fixture(scope="session", autouse=True)
def compiled_kernels():
    """Loops are compiled before a test that has a deadline for each example."""
    for config in (GopherRepetitionConfig(), GopherQualityConfig(), FinewebConfig()):
        metrics_of(config, "Some words.\n\nSome words.")
