"""A server that falls silent within an answer: the read timeout ends the wait, and the request is made again."""

import random
import time
from collections.abc import Iterator

import pytest

from pretrain import s3, s3_client
from pretrain.errors import StoreError
from pretrain.remote_store import RemoteStore
from tests.s3.bucket import objects_of
from tests.s3.fault_proxy import SILENT, FaultProxy
from tests.s3.server import S3Server

READ_TIMEOUT_SECONDS = 1.0
DATA = random.Random(3).randbytes(300_000)


@pytest.fixture
def silent(s3_server: S3Server, s3_store: RemoteStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """A proxy in front of `s3_store` that has answered once, which earns it patience."""
    monkeypatch.setattr(s3_client, "READ_TIMEOUT_SECONDS", READ_TIMEOUT_SECONDS)
    with FaultProxy(s3_server.endpoint, seed=2, rate=0.0, kinds=SILENT) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        s3_store.write_bytes("a/one", DATA)
        yield proxy


@pytest.mark.slow
@pytest.mark.parametrize("kind", SILENT)
def test_what_was_asked_is_asked_again(s3_store: RemoteStore, silent: FaultProxy, kind: str) -> None:
    silent.rate, silent.kinds = 0.4, (kind,)
    for _ in range(4):
        assert s3_store.read_bytes("a/one") == DATA
        assert s3_store.local_file("a/one", fresh=True).read_bytes() == DATA
        assert s3_store.list_sizes("a") == {"a/one": len(DATA)}
    assert silent.faults[kind] >= 2


def test_a_write_whose_answer_never_comes_is_made_again(
    s3_server: S3Server, s3_store: RemoteStore, prefix: str, silent: FaultProxy
) -> None:
    silent.rate = 0.4
    for number in range(4):
        path = s3_store.scratch_file("part")
        path.write_bytes(DATA + b"%d" % number)
        s3_store.put_file(path, f"b/{number}")
        assert s3_store.create_bytes(f"c/{number}", b"%d" % number)  # its own, though an earlier try put it
    silent.rate = 0.0
    expected = {f"b/{n}": DATA + b"%d" % n for n in range(4)} | {f"c/{n}": b"%d" % n for n in range(4)}
    assert objects_of(s3_server, prefix) == {"a/one": DATA, **expected}
    assert silent.faults["hang"] >= 2


@pytest.mark.slow
def test_parts_of_large_files_that_stall(s3_store: RemoteStore, silent: FaultProxy) -> None:
    silent.rate = 0.3
    data = random.Random(1).randbytes(40_000_000)
    path = s3_store.scratch_file("a/large")
    path.write_bytes(data)
    s3_store.put_file(path, "a/large")
    assert s3_store.local_file("a/large").read_bytes() == data
    assert silent.faults["hang"] > 0 and silent.faults["stall"] > 0


@pytest.mark.slow
def test_a_server_that_stays_silent_is_given_up(
    s3_store: RemoteStore, silent: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PATIENCE_SECONDS", 2.0)
    silent.rate = 1.0
    for action in (lambda: s3_store.read_bytes("a/one"), lambda: s3_store.write_bytes("a/two", DATA)):
        silent.rate = 0.0
        s3_store.read_bytes("a/one")
        silent.rate, started = 1.0, time.monotonic()
        with pytest.raises(StoreError, match=r"no answer from .*Read timeout.* run the same command to resume"):
            action()
        assert time.monotonic() - started < 2.0 + 2 * READ_TIMEOUT_SECONDS + 5
