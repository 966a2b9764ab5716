"""A model hub on this machine: what huggingface_hub asks of one, answered from a folder."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

REPOSITORY = "owner/tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Asked(list[str]):
    """The requests so far. Files with `cut` in their path break off halfway."""

    cut: str | None = None


@contextmanager
def hub(folder: Path) -> Iterator[tuple[str, Asked]]:
    """Serves the folder as `REPOSITORY` at `COMMIT`; yields the endpoint, and the requests that were made."""
    asked = Asked()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def answer(self, *, with_body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            asked.append(f"{self.command} {path}")
            found, kind = self.found(path)
            data = found if found is not None else b'{"error": "not found"}'
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Content-Type", kind)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            if found is None:
                self.send_header("X-Error-Code", "RevisionNotFound" if REPOSITORY in path else "RepoNotFound")
            self.end_headers()
            is_cut = asked.cut is not None and asked.cut in path
            if with_body:
                self.wfile.write(data[: len(data) // 2] if is_cut else data)
            self.close_connection = is_cut

        def found(self, path: str) -> tuple[bytes | None, str]:
            if path == f"/api/models/{REPOSITORY}/revision/{COMMIT}":
                files = [{"rfilename": file.name} for file in sorted(folder.iterdir())]
                return json.dumps({"id": REPOSITORY, "sha": COMMIT, "siblings": files}).encode(), "application/json"
            if path == f"/api/models/{REPOSITORY}/tree/{COMMIT}":
                tree = [
                    {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": "0"} for f in folder.iterdir()
                ]
                return json.dumps(tree).encode(), "application/json"
            start = f"/{REPOSITORY}/resolve/{COMMIT}/"
            file = folder / path.removeprefix(start)
            return (
                file.read_bytes() if path.startswith(start) and file.is_file() else None
            ), "application/octet-stream"

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
