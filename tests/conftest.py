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


# What takes longest begins first, and the run that tests/flows shares is made while the other process has work.
_FIRST = ("tests/flows/test_dag.py", "tests/s3", "tests/eval", "tests/train", "tests/flows")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order of files, which `make test` hands to its two processes one by one."""
    items.sort(key=lambda item: next((n for n, path in enumerate(_FIRST) if item.nodeid.startswith(path)), len(_FIRST)))
