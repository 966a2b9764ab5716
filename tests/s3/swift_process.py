"""`python tests/s3/swift_process.py FOLDER`: OpenStack Swift with its S3 API, whole in one process, without root.

Prints its endpoint as one line when it answers, and ends when stdin closes, so that it never outlives whoever started
it. Everything lies in FOLDER (on a file system with user xattrs): started there again after SIGKILL, it has the same
port and every object that it had confirmed. `FOLDER/requests.log` has a line for each request: method, path with query,
status.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import eventlet
import eventlet.patcher
import eventlet.wsgi
from swift.common import utils
from swift.common.ring import RingBuilder
from swift.common.swob import Request
from swift.common.utils.logs import NullLogger
from swift.common.wsgi import SwiftHttpProtocol, loadapp

NAMES = ("proxy", "account", "container", "object")
PIPELINE = "catch_errors gatekeeper listing_formats s3api tempauth bulk copy slo dlo proxy-server"
# the key `test:tester` may do everything, `test:reader` may read
USERS = {"test_tester": "testing .admin", "test_reader": "reading .reseller_reader"}
BUCKET = "pretrain"


def main() -> None:
    """Serves until stdin closes."""
    # A thread of the system, not a green one: it sees the end of stdin whatever the server is busy with.
    eventlet.patcher.original("threading").Thread(target=_end_with_stdin, daemon=True).start()
    utils.monkey_patch()
    folder = Path(sys.argv[1]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    sockets = _listen(folder / "ports.json")
    ports = {name: listener.getsockname()[1] for name, listener in sockets.items()}
    _write_settings(folder, ports)
    if not (folder / "object.ring.gz").exists():
        _write_rings(folder, ports)
    utils.set_swift_dir(str(folder))
    apps = {name: loadapp(str(folder / f"{name}.conf"), global_conf={"log_name": name}) for name in NAMES}
    logged = _Logged(apps["proxy"], folder / "requests.log")
    for name in NAMES:
        eventlet.spawn(_serve, sockets[name], logged if name == "proxy" else apps[name])
    _make_bucket(apps["proxy"])
    print(f"http://127.0.0.1:{ports['proxy']}", flush=True)
    while True:
        eventlet.sleep(3600)


def _end_with_stdin() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


def _listen(path: Path) -> dict[str, Any]:
    known = json.loads(path.read_text()) if path.exists() else {}
    sockets = {name: eventlet.listen(("127.0.0.1", known.get(name, 0)), backlog=512) for name in NAMES}
    path.write_text(json.dumps({name: listener.getsockname()[1] for name, listener in sockets.items()}))
    return sockets


def _write_settings(folder: Path, ports: dict[str, int]) -> None:
    (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = of-a-test\n")
    users = "".join(f"user_{name} = {words}\n" for name, words in USERS.items())
    filters = "".join(
        f"[filter:{name}]\nuse = egg:swift#{name}\n{users if name == 'tempauth' else ''}"
        for name in PIPELINE.split()[:-1]
    )
    for name in NAMES:
        (folder / f"{name}.conf").write_text(
            f"[DEFAULT]\nswift_dir = {folder}\ndevices = {folder}\nmount_check = false\n"
            f"bind_ip = 127.0.0.1\nbind_port = {ports[name]}\nlog_level = ERROR\n"
            f"[pipeline:main]\npipeline = {PIPELINE if name == 'proxy' else f'{name}-server'}\n"
            f"[app:{name}-server]\nuse = egg:swift#{name}\n"
            + (f"account_autocreate = true\n{filters}" if name == "proxy" else "")
        )


def _write_rings(folder: Path, ports: dict[str, int]) -> None:
    for name in ("account", "container", "object"):
        builder = RingBuilder(part_power=4, replicas=1, min_part_hours=1)
        place = {"ip": "127.0.0.1", "replication_ip": "127.0.0.1", "port": ports[name], "replication_port": ports[name]}
        builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1.0, "device": "disk", "meta": "", **place})
        builder.rebalance()
        builder.get_ring().save(str(folder / f"{name}.ring.gz"))
    (folder / "disk").mkdir(exist_ok=True)


def _serve(listener: Any, app: Any) -> None:
    eventlet.wsgi.server(
        listener,
        app,
        NullLogger(),
        protocol=SwiftHttpProtocol,
        capitalize_response_headers=False,  # clients of S3 expect `ETag`, not `Etag`
        log_output=False,
    )


def _make_bucket(app: Any) -> None:
    environ = {"REQUEST_METHOD": "PUT", "swift.authorize_override": True}
    request = Request.blank(f"/v1/AUTH_test/{BUCKET}", environ=environ)
    answer = request.get_response(app)
    if answer.status_int // 100 != 2:
        sys.exit(f"the bucket could not be made: {answer.status} {answer.body!r}")


class _Logged:
    """One line a request, in the order in which answers began."""

    def __init__(self, app, path: Path) -> None:
        self.app = app
        self.file = path.open("a", buffering=1)

    def __call__(self, environ, start_response):
        query = f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else ""
        place = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}{query}"

        def start(status, headers, exc_info=None):
            self.file.write(f"{place} {status.split()[0]}\n")
            return start_response(status, headers, exc_info)

        return self.app(environ, start)


if __name__ == "__main__":
    main()
