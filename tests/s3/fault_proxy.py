"""A proxy between a client and an S3 server that spoils a share of the requests, by a seed.

    with FaultProxy(server.endpoint, seed=7, rate=0.05) as proxy:
        environment = {**server.environment(), "AWS_ENDPOINT_URL": proxy.endpoint}
        ...
    print(proxy.faults)  # Counter({"reset after": 3, "503": 2, ...})

Whether a request is spoiled, and how, follows from the seed and the running number of the request. The `Host` of the
client is passed on, because it is signed. A server that is away is away through the proxy too: its connections are
reset.
"""

import contextlib
import http.client
import http.server
import random
import socket
import struct
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, cast
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.s3.server import KEY, SECRET

Fault = Literal[
    "500", "503", "reset before", "reset after", "delay", "truncated", "wrong bytes", "wrong upload", "hang", "stall"
]
Conditional = Literal["as is", "atomic", "ignored"]

OF_EVERY_REQUEST: tuple[Fault, ...] = ("500", "503", "reset before", "reset after", "delay")
OF_READING: tuple[Fault, ...] = ("truncated", "wrong bytes")  # of an answer to GET: objects, listings, errors
OF_WRITING: tuple[Fault, ...] = ("wrong upload",)  # of a body on its way up
ALL_FAULTS = OF_EVERY_REQUEST + OF_READING + OF_WRITING
# Only the client's read timeout ends these, so that they are asked for by name: `hang` never answers what the server
# has done; `stall` sends the headers of an answer to GET and less than all of its body, none of it maybe.
SILENT: tuple[Fault, ...] = ("hang", "stall")
_OF_ANSWERS = {*OF_READING, "stall"}

_OF_ONE_CONNECTION = {"connection", "expect", "keep-alive", "transfer-encoding"}
_ERRORS = {
    "500": ("500 Internal Server Error", "InternalError", "We encountered an internal error. Please try again."),
    "503": ("503 Slow Down", "SlowDown", "Please reduce your request rate."),
}

Headers = list[tuple[str, str]]


class Decision(NamedTuple):
    """About one request: its running number, its fault if any, its method and path, and what draws the details."""

    number: int
    fault: Fault | None
    request: str
    generator: random.Random


class _Answer(NamedTuple):
    """What the server said, whole."""

    status: str
    headers: Headers
    body: bytes


class FaultProxy:
    """The proxy, at work from `with` to its end. Its settings may be changed while it works.

    Args:
        upstream: the server's endpoint.
        seed: of the decisions.
        rate: share of the requests to spoil, 0 to 1.
        kinds: the faults to choose from, evenly among those that fit the request.
        delays: seconds to choose from, evenly, for `delay`.
        conditional: what becomes of `If-None-Match: *`. `as is`: what the server makes of it. `atomic`: writes of one
            key pass one after the other, so that of several conditional creates exactly one succeeds. `ignored`: it is
            taken off and the request signed anew, as for a server that does not know it.
    """

    def __init__(
        self,
        upstream: str,
        *,
        seed: int = 0,
        rate: float = 0.05,
        kinds: Sequence[Fault] = ALL_FAULTS,
        delays: Sequence[float] = (3.0,),
        conditional: Conditional = "as is",
    ) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.rate = rate
        self.kinds = tuple(kinds)
        self.delays = tuple(delays)
        self.conditional = conditional
        self._lock = threading.Lock()
        self._writing: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.proxy = self
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Begins anew: request number 0 of another seed, and nothing injected."""
        with self._lock:
            self.seed = seed
            self.num_requests = 0
            self.injected: list[Decision] = []

    @property
    def faults(self) -> Counter[str]:
        """How often each fault was injected."""
        return Counter(str(decision.fault) for decision in self.injected)

    def __enter__(self) -> "FaultProxy":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._server.end_connections()

    def decide(self, method: str, path: str, has_body: bool) -> Decision:
        """What is to be done to the next request."""
        with self._lock:
            number, self.num_requests = self.num_requests, self.num_requests + 1
        generator = random.Random(f"{self.seed}/{number}")
        unfit = {*(() if method == "GET" else _OF_ANSWERS), *(() if has_body else OF_WRITING)}
        fitting = [kind for kind in self.kinds if kind not in unfit]
        is_spoiled = generator.random() < self.rate and fitting
        return Decision(number, generator.choice(fitting) if is_spoiled else None, f"{method} {path}", generator)

    def count(self, decision: Decision) -> None:
        """Notes a fault that a request did meet."""
        with self._lock:
            self.injected.append(decision)

    def one_at_a_time(self, method: str, path: str) -> contextlib.AbstractContextManager[object]:
        """Held while a key is written, where conditional creates are to be atomic."""
        if self.conditional != "atomic" or method not in {"PUT", "POST"}:
            return contextlib.nullcontext()
        with self._lock:
            return self._writing[path.partition("?")[0]]


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    proxy: FaultProxy

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that was killed


class _Connection(http.server.BaseHTTPRequestHandler):
    """One connection of a client; `Expect: 100-continue` is met by the base class."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _pass_on(self) -> None:
        proxy = cast(_Server, self.server).proxy
        method, path = self.command, self.requestline.split()[1]
        body = self._read_body()
        if body is None:  # the client ended on the way
            self.close_connection = True
            return
        decision = proxy.decide(method, path, bool(body))
        fault, generator = decision.fault, decision.generator
        if fault is not None and fault not in _OF_ANSWERS:
            proxy.count(decision)
        if fault in _ERRORS:
            self._answer_error(*_ERRORS[fault])
            return
        if fault == "reset before":
            self._reset()
            return
        if fault == "delay":
            time.sleep(generator.choice(proxy.delays))
        elif fault == "wrong upload":
            body = _with_a_wrong_byte(body, generator)
        answer = self._ask_upstream(proxy, body)
        if answer is None or fault == "reset after":
            self._reset()
            return
        self.close_connection = self.close_connection or fault == "hang"
        if fault in _OF_ANSWERS and answer.body:
            proxy.count(decision)
            answer = self._spoil(answer, decision)
        if fault != "hang":
            self._send(answer.status, answer.headers, answer.body)
        if fault in SILENT and self.close_connection:
            self._wait_for_the_client()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on

    def _ask_upstream(self, proxy: FaultProxy, body: bytes) -> _Answer | None:
        method, path = self.command, self.requestline.split()[1]
        headers = _lasting(self.headers.items())
        if proxy.conditional == "ignored" and self.headers.get("If-None-Match") == "*":
            headers = _unconditional(method, path, headers, body)
        with proxy.one_at_a_time(method, path):
            try:
                return _ask(proxy.upstream, method, path, headers, body)
            except (OSError, http.client.HTTPException):  # it is away, or died on the way
                return None

    def _spoil(self, answer: _Answer, decision: Decision) -> _Answer:
        if decision.fault == "wrong bytes":
            return answer._replace(body=_with_a_wrong_byte(answer.body, decision.generator))
        self.close_connection = True
        return answer._replace(body=answer.body[: decision.generator.randrange(len(answer.body))])

    def _wait_for_the_client(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.recv(1)  # it gives up, or the proxy ends

    def _read_body(self) -> bytes | None:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            num_bytes = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(num_bytes)
            return body if len(body) == num_bytes else None
        chunks = []
        while num_bytes := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(num_bytes))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        self.headers["Content-Length"] = str(sum(map(len, chunks)))
        return b"".join(chunks)

    def _answer_error(self, status: str, code: str, message: str) -> None:
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
        self._send(status, headers, b"" if self.command == "HEAD" else body.encode())

    def _send(self, status: str, headers: Headers, body: bytes) -> None:
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers), "", ""]
        self.wfile.write("\r\n".join(lines).encode("latin-1") + body)

    def _reset(self) -> None:
        # closed with RST: what the client has not read yet is lost as well
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def _ask(server: str, method: str, path: str, headers: Headers, body: bytes) -> _Answer:
    with contextlib.closing(http.client.HTTPConnection(server, timeout=120)) as upstream:
        upstream.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            upstream.putheader(name, value)
        upstream.endheaders(body or None)
        answer = upstream.getresponse()
        data = answer.read()
        received = _lasting(answer.getheaders())
        if answer.getheader("Content-Length") is None and answer.status not in {204, 304}:
            received.append(("Content-Length", str(len(data))))
        return _Answer(f"{answer.status} {answer.reason}", received, data)


def _lasting(headers: Iterable[tuple[str, str]]) -> Headers:
    return [(name, value) for name, value in headers if name.lower() not in _OF_ONE_CONNECTION]


def _with_a_wrong_byte(data: bytes, generator: random.Random) -> bytes:
    changed = bytearray(data)
    changed[generator.randrange(len(data))] ^= generator.randrange(1, 256)
    return bytes(changed)


def _unconditional(method: str, path: str, headers: Headers, body: bytes) -> Headers:
    """The headers without `If-None-Match`, signed again, because the signature covers it."""
    kept = {name: value for name, value in headers if name.lower() not in {"if-none-match", "authorization"}}
    request = AWSRequest(method, f"http://{kept['Host']}{path}", headers=kept, data=body)
    S3SigV4Auth(Credentials(KEY, SECRET), "s3", "us-east-1").add_auth(request)
    return list(request.headers.items())
