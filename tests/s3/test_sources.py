import gzip
import hashlib
from pathlib import Path

import pytest
import s3fs

from pretrain.download import remote_errors, remote_reading
from pretrain.download.remote import remote_files
from pretrain.download.remote_copies import copied
from pretrain.errors import InputError
from tests.download.downloading import download
from tests.s3.bucket import client_of
from tests.s3.fault_proxy import Fault, FaultProxy
from tests.s3.server import BUCKET, S3Server

DATA = bytes(range(256)) * 80_000  # 20,480,000 bytes


@pytest.fixture
def source(s3_server: S3Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The url of a folder of the bucket, which s3fs reads from the server itself."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(remote_errors, "LONGEST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(remote_reading, "RANGE_BYTES", 1 << 20)  # twenty requests an object
    s3fs.S3FileSystem.clear_instance_cache()
    return f"s3://{BUCKET}/{prefix}"


def put(server: S3Server, url: str, data: bytes) -> str:
    """Puts an object; its ETag."""
    etag: str = client_of(server).put_object(Bucket=BUCKET, Key=url.split("/", 3)[3], Body=data)["ETag"]
    return etag.strip('"')


def test_objects_are_read_as_a_folder_is(s3_server: S3Server, source: str, tmp_path: Path):
    put(s3_server, f"{source}/a.jsonl.gz", gzip.compress(b'{"text":"a"}\n'))
    put(s3_server, f"{source}/b/b.jsonl", b'{"text":"b"}\n')
    (tmp_path / "sources").mkdir()
    assert download(tmp_path / "sources", {"uri": source}).texts == ["a", "b"]


def test_the_etag_of_an_object_is_checked(s3_server: S3Server, source: str):
    assert put(s3_server, f"{source}/x", DATA) == hashlib.md5(DATA).hexdigest()
    (file,) = remote_files(f"{source}/x")
    with (
        FaultProxy(s3_server.endpoint, rate=0.0, kinds=["wrong bytes"]) as proxy,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        s3fs.S3FileSystem.clear_instance_cache()
        rates = iter([1.0, 0.0, 0.0, 0.0])  # before and after the first reading, and the second
        patch.setattr(remote_reading, "_require_unchanged", lambda *_: setattr(proxy, "rate", next(rates)))
        with copied(file) as path:
            assert path.read_bytes() == DATA
        assert set(proxy.faults) == {"wrong bytes"}


@pytest.mark.parametrize(
    "fault", ["503", *(pytest.param(fault, marks=pytest.mark.slow) for fault in ("500", "reset after", "truncated"))]
)
def test_a_server_that_stumbles_is_met_with_patience(s3_server: S3Server, source: str, monkeypatch, fault: Fault):
    put(s3_server, f"{source}/x", DATA)
    (file,) = remote_files(f"{source}/x")
    with FaultProxy(s3_server.endpoint, seed=3, rate=0.3, kinds=[fault]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        s3fs.S3FileSystem.clear_instance_cache()
        with copied(file) as path:
            assert path.read_bytes() == DATA
        assert proxy.faults[fault] > 0


def test_an_object_that_was_changed_is_an_input_error(s3_server: S3Server, source: str):
    put(s3_server, f"{source}/x", DATA)
    (file,) = remote_files(f"{source}/x")
    put(s3_server, f"{source}/x", DATA[::-1])
    with pytest.raises(InputError, match="was changed while the run was on its way"), copied(file):
        pass
