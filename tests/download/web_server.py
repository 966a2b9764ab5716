"""A web server that serves one file, as well or as badly as it is told to."""

import contextlib
import http.server
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class WebServer:
    """The file and the manners of the server; both may be changed while it works.

    Attributes:
        data: the bytes of the file, at any path but /none.
        etag: its version.
        has_ranges: whether `Range` is heard.
        cuts: of the answers to come with a body, in order: after how many bytes the connection is closed.
        failures: of the requests to come, in order: the status that is answered instead.
        told_bytes: the length that HEAD tells, when it is not that of the file.
        bytes_per_second: how fast bodies are sent; None for at once.
        requests: method and range of each request so far.
        num_bytes_sent: of bodies.
    """

    data: bytes
    etag: str = '"1"'
    has_ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    told_bytes: int | None = None
    bytes_per_second: float | None = None
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    num_bytes_sent: int = 0
    url: str = ""


@contextlib.contextmanager
def serving(data: bytes) -> Iterator[WebServer]:
    """A server of `data`, for the time of the block."""
    server = WebServer(data)
    handler = type("Handler", (_Handler,), {"web": server})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        httpd.daemon_threads = True
        server.url = f"http://127.0.0.1:{httpd.server_port}"
        threading.Thread(target=httpd.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        httpd.shutdown()


class _Handler(http.server.BaseHTTPRequestHandler):
    web: WebServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def _answer(self, *, has_body: bool) -> None:
        web, wanted = self.web, self.headers.get("Range")
        web.requests.append((self.command, wanted))
        if web.failures or self.path == "/none":
            self.send_error(web.failures.pop(0) if web.failures else 404)
            return
        data, start = web.data, 0
        ranged = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted or "") if web.has_ranges else None
        if ranged:
            start = int(ranged[1])
            if start >= len(data):
                self._head(416, 0, f"bytes */{len(data)}")
                return
            stop = min(int(ranged[2] or len(data)) + 1, len(data))
            self._head(206, stop - start, f"bytes {start}-{stop - 1}/{len(data)}")
            data = data[:stop]
        else:
            self._head(200, len(data) if has_body or web.told_bytes is None else web.told_bytes)
        if has_body:
            self._send(data[start:])

    def _head(self, status: int, num_bytes: int, content_range: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(num_bytes))
        self.send_header("ETag", self.web.etag)
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()

    def _send(self, body: bytes) -> None:
        limit = self.web.cuts.pop(0) if self.web.cuts else len(body)
        for first in range(0, min(limit, len(body)), 1 << 16):
            piece = body[first : min(first + (1 << 16), limit)]
            try:
                self.wfile.write(piece)
            except OSError:  # the client is gone
                self.close_connection = True
                return
            self.web.num_bytes_sent += len(piece)
            if self.web.bytes_per_second:
                time.sleep(len(piece) / self.web.bytes_per_second)
        self.close_connection = limit < len(body)

    def log_message(self, *_: object) -> None:
        pass
