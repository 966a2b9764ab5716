"""One S3 server for all tests of the session, in a folder of its own, and stores in it."""

import os
import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from pretrain.remote_store import RemoteStore
from tests.s3.server import BUCKET, S3Server, running


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server with signature checking. Its objects are shared: take a prefix of your own."""
    if find_spec("swift") is None:
        pytest.skip("the S3 server is not installed: pip install -e '.[s3-server]' (Linux)")
    folder = tmp_path_factory.mktemp("s3")
    try:
        os.setxattr(folder, "user.pretrain", b"1")
    except OSError as error:
        pytest.skip(f"{folder} has no user xattrs ({error}), where the S3 server keeps its metadata; set TMPDIR")
    with running(folder) as server:
        yield server


@pytest.fixture
def prefix() -> str:
    """A prefix of the bucket that no other test has."""
    return uuid.uuid4().hex


@pytest.fixture
def s3_store(s3_server: S3Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteStore:
    """An empty store, and a cache that is its own."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path / "cache"))
    return RemoteStore(f"s3://{BUCKET}/{prefix}")
