"""What every test runs under: Ctrl-C heard, one thread, no network, no telemetry, a cache folder of its own."""

import os
import signal
from collections.abc import Iterator

import pytest

# At import, because torch, tokenizers, huggingface_hub and prefect read these once, when they are imported.
os.environ.update(
    OMP_NUM_THREADS="1",  # training is bit-identical only for a fixed number of threads
    TOKENIZERS_PARALLELISM="false",
    HF_HUB_OFFLINE="1",
    DO_NOT_TRACK="1",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
)

# A command that a script runs in the background inherits that SIGINT is ignored, and would hand it on to the runs that
# tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or leaves anything in the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """The name of the argument for bytes: packed ones hold the time, and two processes must collect the same tests."""
    return argname if isinstance(val, bytes) and len(val) > 16 else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs in one process of `make test`: a file, and the whole of tests/flows, whose files share a run.

    That folder takes half of the time, so it starts first.
    """
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: _group(item) != "flows")


def _group(item: pytest.Item) -> str:
    return "flows" if item.path.parent.name == "flows" else item.nodeid.partition("::")[0]
