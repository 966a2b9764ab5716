"""What a store in S3 says when it cannot be used: one clear message, within seconds, and never a rebuild instead."""

import contextlib
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pretrain.errors import StoreError, StoreFullError, StorePermissionError, UsageError
from pretrain.remote_store import RemoteStore
from pretrain.runner import InlineRunner
from pretrain.spec import RunSpec
from tests.command import Ended, pretrain
from tests.s3.bucket import objects_of
from tests.s3.server import BUCKET, KEY, READER_KEY, READER_SECRET, S3Server
from tests.tiny import write_recipe

NO_CREDENTIALS = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    "AWS_CONFIG_FILE": "/nowhere",
}


def run(recipe: Path, store: str, command: str = "run", *, seconds: float = 10, **environment: str) -> Ended:
    """The command, required to end within `seconds` and to show no traceback and no secret."""
    started = time.monotonic()
    ended = pretrain(command, recipe, "--store", store, "--until", "download", "--json", **environment)
    assert time.monotonic() - started < seconds
    assert "Traceback" not in ended.errors
    for name, value in environment.items():
        if "SECRET" in name or "TOKEN" in name:
            assert value not in ended.errors + ended.text
    return ended


def build(recipe: Path, store: str, environment: dict[str, str]) -> None:
    """The download stage, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        pipeline = RunSpec(recipe=str(recipe), store=store).pipeline()
        pipeline.obtain("download", {}, runner=InlineRunner(), progress=lambda done, total, text: None)


@contextlib.contextmanager
def answering(status: int, code: str, message: str) -> Iterator[str]:
    """An address where every request gets one error of S3's, for those that the server here never gives."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe"))


@pytest.mark.parametrize(
    ("key", "secret"), [("test:nobody", "an-unknown-secret"), (KEY, "a-wrong-secret")], ids=["key", "secret"]
)
def test_a_wrong_key_and_a_wrong_secret(s3_server: S3Server, recipe: Path, prefix: str, key: str, secret: str) -> None:
    ended = run(recipe, f"s3://{BUCKET}/{prefix}", **s3_server.environment(key, secret))
    assert ended.code == 1
    assert "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in ended.errors
    assert objects_of(s3_server, prefix) == {}


def test_a_missing_bucket(s3_server: S3Server, recipe: Path) -> None:
    ended = run(recipe, "s3://nobucket/x", **s3_server.environment())
    assert ended.code == 2
    assert f"there is no bucket 'nobucket' at {s3_server.endpoint}" in ended.errors


@pytest.mark.slow
def test_credentials_that_may_only_read(s3_server: S3Server, recipe: Path, prefix: str) -> None:
    store = f"s3://{BUCKET}/{prefix}"
    reader = s3_server.environment(READER_KEY, READER_SECRET)
    planned = run(recipe, store, "plan", **reader)  # what is not there is not a refusal
    assert planned.code == 0
    assert planned.out["stages"][0]["reasons"] == ["the store has no download artifact yet"]
    ended = run(recipe, store, **reader)
    assert ended.code == 1
    assert "refused while writing" in ended.errors and "a store needs GetObject, PutObject" in ended.errors
    assert objects_of(s3_server, prefix) == {}
    build(recipe, store, s3_server.environment())
    planned = run(recipe, store, "plan", **reader)
    assert [stage["action"] for stage in planned.out["stages"]] == ["cached"]


@pytest.mark.slow
def test_an_expired_token(s3_server: S3Server, recipe: Path) -> None:
    with answering(400, "ExpiredToken", "The provided token has expired.") as endpoint:
        environment = {**s3_server.environment(), "AWS_ENDPOINT_URL": endpoint, "AWS_SESSION_TOKEN": "old-token"}
        ended = run(recipe, f"s3://{BUCKET}/x", **environment)
    assert ended.code == 1
    assert "the session token has expired: get a new one" in ended.errors


@pytest.mark.slow
def test_no_credentials(s3_server: S3Server, recipe: Path) -> None:
    ended = run(recipe, f"s3://{BUCKET}/x", AWS_ENDPOINT_URL=s3_server.endpoint, **NO_CREDENTIALS)
    assert ended.code == 1
    assert "no usable credentials" in ended.errors


@pytest.mark.slow
def test_an_address_where_no_one_listens(s3_server: S3Server, recipe: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
    ended = run(recipe, f"s3://{BUCKET}/x", **{**s3_server.environment(), "AWS_ENDPOINT_URL": endpoint})
    assert ended.code == 1
    assert f"no answer from {endpoint}" in ended.errors


@pytest.mark.slow
def test_an_address_that_swallows_packets(s3_server: S3Server, recipe: Path) -> None:
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # fill its queue: the kernel drops what else comes
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        endpoint = f"http://127.0.0.1:{full.getsockname()[1]}"
        ended = run(recipe, f"s3://{BUCKET}/x", **{**s3_server.environment(), "AWS_ENDPOINT_URL": endpoint})
    assert ended.code == 1
    assert f"no answer from {endpoint}" in ended.errors


@pytest.mark.parametrize(
    ("status", "code", "expected", "words"),
    [
        (403, "InvalidAccessKeyId", StorePermissionError, "does not know the access key"),
        (403, "RequestTimeTooSkewed", StorePermissionError, "clock"),
        (400, "InvalidToken", StorePermissionError, "AWS_SESSION_TOKEN"),
        (403, "AccessDenied", StorePermissionError, "may not do that"),
        (400, "AuthorizationHeaderMalformed", UsageError, "AWS_DEFAULT_REGION"),
        (507, "InsufficientStorage", StoreFullError, "no space left"),
        (403, "QuotaExceeded", StoreFullError, "no space left"),
        (501, "NotImplemented", StoreError, "run the same command to resume"),
    ],
)
def test_what_a_server_refuses_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, s3_server: S3Server, status: int, code: str, expected: type, words: str
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    with answering(status, code, "so it is") as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        started = time.monotonic()
        for attempt in ("read_bytes", "list_sizes"):
            with pytest.raises(expected, match=words) as raised:
                getattr(RemoteStore(f"s3://{BUCKET}/x"), attempt)("a/b")
            assert type(raised.value) is expected
        assert time.monotonic() - started < 10  # a try again would go on for two minutes


@pytest.mark.parametrize("url", ["s3://", "s3:///x"])
def test_a_url_without_a_bucket(url: str) -> None:
    with pytest.raises(UsageError, match="s3://bucket/prefix"):
        RemoteStore(url).read_bytes("a")


def test_an_endpoint_that_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "not an address")
    with pytest.raises(UsageError, match="not an address"):
        RemoteStore(f"s3://{BUCKET}").read_bytes("a")
