import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pretrain.download import remote_copies, remote_errors, remote_reading
from pretrain.download.remote import remote_files
from pretrain.download.remote_copies import copied
from pretrain.errors import InputError, StoreFullError, TransientInputError
from pretrain.external import ExternalFile
from tests.download.downloading import download
from tests.download.web_server import WebServer, serving

DATA = bytes(range(256)) * 40_000  # 10,240,000 bytes
MEBIBYTE = 1 << 20
# What was received but not handed on is lost with a connection: aiohttp holds twice 64 KiB, and what it read last.
IN_FLIGHT_BYTES = 1 << 19


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """A web server of DATA; patience with it is short."""
    monkeypatch.setattr(remote_reading, "PATIENCE_SECONDS", 3.0)
    monkeypatch.setattr(remote_errors, "LONGEST_PAUSE_SECONDS", 0.05)
    with serving(DATA) as server:
        yield server


def planned(server: WebServer, path: str = "/data.bin") -> ExternalFile:
    (file,) = remote_files(server.url + path)
    server.requests.clear()
    return file


def content(file: ExternalFile, sha256: str | None = None) -> bytes:
    with copied(file, sha256) as path:
        return path.read_bytes()


def partials(folder: Path) -> list[Path]:
    return list((folder.parent / "cache").rglob("*.partial"))


def test_a_file_is_fetched_once_for_all_that_read_it(server: WebServer):
    file = planned(server)
    assert content(file) == DATA
    assert content(file) == DATA
    assert server.requests == [("GET", None)]
    assert server.num_bytes_sent == len(DATA)


def test_a_lost_connection_goes_on_where_it_broke(server: WebServer):
    server.cuts = [3 * MEBIBYTE, 2 * MEBIBYTE]
    assert content(planned(server)) == DATA
    first, second, third = server.requests
    assert first == ("GET", None)
    resumed, again = (int(str(wanted).removeprefix("bytes=").removesuffix("-")) for _, wanted in (second, third))
    assert 3 * MEBIBYTE - IN_FLIGHT_BYTES <= resumed <= 3 * MEBIBYTE
    assert resumed + 2 * MEBIBYTE - IN_FLIGHT_BYTES <= again <= resumed + 2 * MEBIBYTE
    assert server.num_bytes_sent == 5 * MEBIBYTE + len(DATA) - again


def test_a_server_without_ranges_begins_anew(server: WebServer):
    server.has_ranges = False
    server.cuts = [3 * MEBIBYTE]
    assert content(planned(server)) == DATA
    assert server.num_bytes_sent == 3 * MEBIBYTE + len(DATA)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_that_fails_for_a_while_is_met_with_patience(server: WebServer, status):
    file = planned(server)
    server.failures = [status, status]
    assert content(file) == DATA
    assert len(server.requests) == 3


def test_a_server_that_stumbles_while_the_run_is_planned_is_asked_again(server: WebServer):
    server.failures = [503, 503, 503]  # to HEAD, to GET, to HEAD again
    assert remote_files(f"{server.url}/data.bin")[0].bytes == len(DATA)


@pytest.mark.parametrize(
    ("status", "message"),
    [(403, "refuses this environment's credentials"), (404, "nothing is at"), (410, "nothing is at")],
)
def test_a_server_that_refuses_is_not_asked_twice(server: WebServer, status, message):
    file = planned(server)
    server.failures = [status] * 5
    with pytest.raises(InputError, match=message):
        content(file)
    assert len(server.requests) == 1


def test_when_patience_ends_what_arrived_stays_for_the_rerun(folder: Path, server: WebServer):
    file = planned(server)
    server.cuts = [4 * MEBIBYTE, *[0] * 1000]
    with pytest.raises(TransientInputError, match=r"reading http://127\.0\.0\.1:\d+/data\.bin broke off .* to resume"):
        content(file)
    [kept] = [path.stat().st_size for path in partials(folder)]
    assert 4 * MEBIBYTE - IN_FLIGHT_BYTES <= kept <= 4 * MEBIBYTE
    server.cuts.clear()
    server.requests.clear()
    assert content(file) == DATA
    assert server.requests == [("GET", f"bytes={kept}-")]
    assert partials(folder) == []


def test_a_file_that_changes_while_it_is_fetched_is_an_input_error(folder: Path, server: WebServer):
    file = planned(server)
    server.cuts = [4 * MEBIBYTE, *[0] * 1000]
    with pytest.raises(TransientInputError):
        content(file)
    server.cuts.clear()
    server.data, server.etag = DATA[::-1], '"2"'
    with pytest.raises(InputError, match="was changed while the run was on its way"):
        content(file)
    assert content(planned(server)) == DATA[::-1]  # planned anew, and nothing of the old one taken for it
    assert partials(folder) == []


@pytest.mark.parametrize("told_bytes", [len(DATA) - 1, len(DATA) + 1, 0])
def test_a_server_that_lies_about_the_length_is_an_input_error(server: WebServer, told_bytes):
    server.told_bytes = told_bytes
    with pytest.raises(InputError, match="was changed while the run was on its way"):
        content(planned(server))


def test_an_empty_file(server: WebServer):
    server.data = b""
    assert content(planned(server)) == b""


def test_bytes_of_a_gzip_file_stay_what_they_are(folder: Path, server: WebServer):
    server.data = gzip.compress(b'{"text":"a"}\n', mtime=0)
    assert download(folder, {"uri": f"{server.url}/a.jsonl.gz"}).texts == ["a"]


def test_another_sha256_than_the_recipes_is_refused_and_leaves_nothing(folder: Path, server: WebServer):
    server.data = b'{"text":"a"}\n'
    digest = hashlib.sha256(server.data).hexdigest()
    uri = f"{server.url}/a.jsonl"
    with pytest.raises(InputError, match=f"has the sha256 {digest}, the recipe says {'0' * 64}"):
        download(folder, {"uri": uri, "sha256": "0" * 64})
    assert [path for path in (folder.parent / "cache").rglob("sources/*") if path.is_file()] == []
    assert download(folder, {"uri": uri, "sha256": digest}).texts == ["a"]
    with pytest.raises(InputError, match=f"has the sha256 {digest}, the recipe says {'0' * 64}"):
        download(folder, {"uri": uri, "sha256": "0" * 64})  # of the copy, too


def test_a_part_that_was_spoiled_on_the_disk_is_fetched_again_where_a_sha256_tells(folder: Path, server: WebServer):
    file = planned(server)
    server.cuts = [4 * MEBIBYTE, *[0] * 1000]
    with pytest.raises(TransientInputError):
        content(file)
    server.cuts.clear()
    (partial,) = partials(folder)
    partial.write_bytes(b"\0" * 4 * MEBIBYTE)
    assert content(file, hashlib.sha256(DATA).hexdigest()) == DATA


def test_a_copy_that_was_changed_on_the_disk_is_fetched_again(server: WebServer):
    file = planned(server)
    with copied(file) as path:
        path.write_bytes(b"spoiled")
    assert content(file) == DATA


def test_no_space_in_the_cache_is_said_before_it_is_filled(server: WebServer, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(remote_copies.shutil, "disk_usage", lambda _: usage._replace(free=len(DATA) - 1))
    with pytest.raises(
        StoreFullError, match=rf"in the cache .*/cache: it takes {len(DATA)} bytes more, {len(DATA) - 1} are"
    ):
        content(planned(server))
    assert server.num_bytes_sent == 0


def test_two_at_once_fetch_it_once(server: WebServer):
    file = planned(server)
    server.bytes_per_second = 20e6
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(content(file))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [DATA] * 3
    assert server.num_bytes_sent == len(DATA)


FETCH = """
import sys
from pretrain.download.remote_copies import copied
from pretrain.external import ExternalFile
with copied(ExternalFile(*sys.argv[1:4], 0)) as path:
    print(path.stat().st_size)
"""


def test_a_killed_download_goes_on_where_it_was_killed(folder: Path, server: WebServer):
    file = planned(server)
    server.bytes_per_second = 3e6
    command = [sys.executable, "-c", FETCH, file.name, file.location, file.identity]
    child = subprocess.Popen(command)
    while not (partials(folder) and partials(folder)[0].stat().st_size > 3 * MEBIBYTE):
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    kept = partials(folder)[0].stat().st_size
    server.requests.clear()
    server.bytes_per_second = None
    assert content(file) == DATA
    assert server.requests == [("GET", f"bytes={kept}-")]
    assert 3 * MEBIBYTE < kept < len(DATA)


@pytest.mark.slow
def test_memory_stays_bounded(folder: Path, server: WebServer):
    server.data = os.urandom(1 << 20) * 200
    script = (
        "import resource, sys\n"
        "from pretrain.download.remote import remote_files\n"
        "from pretrain.download.remote_copies import copied\n"
        "(file,) = remote_files(sys.argv[1])\n"
        "import aiohttp\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "with copied(file) as path:\n"
        "    print(path.stat().st_size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >> 10)\n"
    )
    output = subprocess.check_output([sys.executable, "-c", script, f"{server.url}/x"], text=True)
    num_bytes, grown_mib = map(int, output.split())
    assert num_bytes == 200 << 20
    assert grown_mib < 60


def test_documents_are_those_of_the_local_file(folder: Path, server: WebServer):
    server.data = "".join(json.dumps({"text": f"text {n}"}) + "\n" for n in range(2000)).encode()
    server.cuts = [1000]
    (folder / "a.jsonl").write_bytes(server.data)
    remote = download(folder, {"uri": f"{server.url}/a.jsonl"})
    assert remote.documents == download(folder, {"uri": "a.jsonl"}).documents
