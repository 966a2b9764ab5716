import functools
import gzip
import http.server
import json
import threading
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pretrain.download.config import DownloadConfig
from pretrain.download.remote import remote_files
from pretrain.errors import InputError
from pretrain.redaction import without_secrets
from tests.download.downloading import download, plan


@pytest.fixture
def memory():
    """An object store in this process, as fsspec makes one."""
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    yield filesystem
    filesystem.store.clear()


@pytest.fixture
def server(folder: Path):
    """A web server of the folder; answers carry Last-Modified."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def test_a_bucket_reads_as_a_folder_does(folder: Path, memory):
    memory.pipe("/bucket/web/a.jsonl.gz", gzip.compress(b'{"text":"a"}\n'))
    memory.pipe("/bucket/web/deep/b.jsonl", b'{"text":"b"}\n')
    pq.write_table(pa.table({"text": ["c"]}), folder / "c.parquet")
    memory.pipe("/bucket/web/c.parquet", (folder / "c.parquet").read_bytes())
    uris = ["memory://bucket/web", "memory://bucket/web/*.gz", "memory://bucket/web/c.parquet"]
    names = [[file.name for file in remote_files(uri)] for uri in uris]
    assert names == [["a.jsonl.gz", "c.parquet", "deep/b.jsonl"], ["a.jsonl.gz"], ["c.parquet"]]
    assert download(folder, {"uri": uris[0]}).texts == ["a", "c", "b"]


def test_a_changed_object_has_another_fingerprint(folder: Path, memory):
    config = DownloadConfig.model_validate({"sources": [{"name": "s", "uri": "memory://bucket/a.jsonl"}]})
    memory.pipe("/bucket/a.jsonl", b'{"text":"a"}')
    before = plan(folder, config)[0].fingerprint
    assert plan(folder, config)[0].fingerprint == before
    memory.pipe("/bucket/a.jsonl", b'{"text":"b"}')
    assert plan(folder, config)[0].fingerprint != before


def test_files_of_a_web_server_are_streamed(folder: Path, server: str):
    lines = "".join(json.dumps({"text": f"text {index} {'x' * 1000}"}) + "\n" for index in range(3000))
    (folder / "a.jsonl").write_text(lines)
    remote = download(folder, {"uri": f"{server}/a.jsonl"})
    local = download(folder, {"uri": "a.jsonl"})
    assert remote.documents == local.documents
    assert len(local.documents) == 3000


@pytest.mark.parametrize("uri", ["memory://bucket/none.jsonl", "memory://bucket/*.jsonl", "gopher9://x/y"])
def test_nothing_there_or_no_driver_is_an_input_error(folder: Path, memory, uri):
    with pytest.raises(InputError, match=uri.split("/")[0]):
        remote_files(uri)


def test_a_missing_page_is_an_input_error(folder: Path, server: str):
    with pytest.raises(InputError, match=r"nothing is at http://127\.0\.0\.1:\d+/none\.jsonl"):
        remote_files(f"{server}/none.jsonl?signature=secret")


def test_messages_show_no_secrets():
    assert without_secrets("https://u:p@host:1/a/b.gz?X-Sig=s#f") == "https://host:1/a/b.gz"
    assert without_secrets("/local/what?.jsonl") == "/local/what?.jsonl"
