"""Failures that pass are not seen: the request is made again, bodies included, for as long as patience lasts."""

import hashlib
import http.server
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from pretrain import s3
from pretrain.errors import StoreError
from pretrain.remote_store import RemoteStore
from tests.s3.server import BUCKET, S3Server, start

pytestmark = pytest.mark.slow  # waits for servers that come back, and for those that do not

DATA = b"the bytes that were put"


class Stumbling(http.server.BaseHTTPRequestHandler):
    """Answers one request after the other with the next of `faults`, and well when there are none left."""

    faults: ClassVar[list[str]] = []
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "reset":
            linger = b"\1\0\0\0\0\0\0\0"  # closed with RST
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            return
        if fault.isdigit():
            self._answer(int(fault), b"<Error><Code>SlowDown</Code><Message>reduce your rate</Message></Error>")
        elif fault == "no xml":
            self._answer(500, b"\0<html")
        elif fault == "truncated":
            self._answer(200, DATA[:5], len(DATA))
            self.close_connection = True
        else:
            self._answer(200, DATA.upper() if fault == "wrong bytes" else DATA)

    def _answer(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length or len(body)))
        self.send_header("ETag", '"0"')
        self.send_header("x-amz-meta-sha256", hashlib.sha256(DATA).hexdigest())
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stumbling(s3_store: RemoteStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemoteStore]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stumbling) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
        yield s3_store
        server.shutdown()


@pytest.mark.parametrize("fault", ["503", "500", "429", "reset", "no xml", "truncated", "wrong bytes"])
def test_two_failures_in_a_row_are_not_seen(stumbling: RemoteStore, fault: str) -> None:
    Stumbling.faults[:] = [fault, fault]
    assert stumbling.read_bytes("a") == DATA
    Stumbling.faults[:] = [fault, fault]
    assert stumbling.local_file("a").read_bytes() == DATA
    assert Stumbling.faults == []


def test_patience_ends(stumbling: RemoteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "PATIENCE_SECONDS", 1.0)
    assert stumbling.read_bytes("a") == DATA
    Stumbling.faults[:] = ["503"] * 1000
    started = time.monotonic()
    with pytest.raises(StoreError, match=r"SlowDown.*run the same command to resume"):
        stumbling.read_bytes("a")
    assert 0.3 < time.monotonic() - started < 3
    num_left = len(Stumbling.faults)
    with pytest.raises(StoreError):
        stumbling.read_bytes("a")
    assert len(Stumbling.faults) == num_left - 1  # it is known to be away
    Stumbling.faults.clear()


def test_a_server_that_comes_back_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start(tmp_path / "s3")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path / "cache"))
    store = RemoteStore(f"s3://{BUCKET}/x")
    store.write_bytes("a/b", b"1")
    server.kill()
    back: list[S3Server] = []
    threading.Timer(1.5, lambda: back.append(start(tmp_path / "s3"))).start()
    assert pickle.loads(pickle.dumps(store)).read_bytes("a/b") == b"1"  # as a worker has it
    back[0].kill()


def test_the_server_ends_with_a_killed_owner(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time; from tests.s3.server import start;"
        "print(start(pathlib.Path(sys.argv[1])).process.pid, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    server_pid = int(owner.stdout.readline()) if owner.stdout else 0
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    for _ in range(200):
        try:
            os.kill(server_pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail("the server outlives its owner")
