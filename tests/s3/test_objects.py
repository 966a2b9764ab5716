"""The store on a real S3 server: what every store does, large files in parts, and no byte that was not put."""

import os
import pickle
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pretrain.errors import DamagedArtifactError
from pretrain.remote_store import RemoteStore
from pretrain.s3 import MIN_UPLOAD_PART_BYTES, upload_part_bytes
from tests.s3.bucket import client_of, objects_of
from tests.s3.server import BUCKET, S3Server
from tests.test_store import (  # noqa: F401  (run here once more, on the store of this module)
    test_a_write_replaces_and_a_delete_may_find_nothing,
    test_many_are_read_at_once,
    test_what_is_written_is_read,
)


@pytest.fixture
def store(s3_store: RemoteStore) -> RemoteStore:
    return s3_store


def random_file(path: Path, num_bytes: int) -> bytes:
    data = random.Random(num_bytes).randbytes(num_bytes)
    path.write_bytes(data)
    return data


def put_elsewhere(server: S3Server, prefix: str, key: str, data: bytes, **metadata: str) -> None:
    client_of(server).put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=data, Metadata=metadata)


@pytest.mark.parametrize("num_bytes", [0, 1, 8 << 20, (8 << 20) + 1, 40_000_000])
def test_a_file_of_any_size_comes_back(
    s3_server: S3Server, store: RemoteStore, prefix: str, tmp_path: Path, num_bytes: int
) -> None:
    path = store.scratch_file("a/data/part")
    data = random_file(path, num_bytes)
    before = len(s3_server.requests())
    store.put_file(path, "a/data/part")
    assert store.local_file("a/data/part").read_bytes() == data
    assert objects_of(s3_server, prefix) == {"a/data/part": data}
    requests = [line for line in s3_server.requests()[before:] if "partNumber=" in line]
    assert len(requests) == (3 if num_bytes == 40_000_000 else 0)  # 16 MiB, 16 MiB and the rest


def test_the_part_size_keeps_an_upload_below_ten_thousand_parts() -> None:
    assert upload_part_bytes(1) == MIN_UPLOAD_PART_BYTES == 16 * 2**20
    for total in (10_000 * 16 * 2**20, 10_000 * 16 * 2**20 + 1, 5 * 2**40):
        assert 9_000 < -(-total // upload_part_bytes(total)) <= 10_000


def test_an_upload_that_did_not_end_is_invisible(s3_server: S3Server, store: RemoteStore, prefix: str) -> None:
    place = {"Bucket": BUCKET, "Key": f"{prefix}/a/data/part"}
    client = client_of(s3_server)
    upload = client.create_multipart_upload(**place)["UploadId"]
    client.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"x" * (5 << 20))
    assert store.list_sizes("a") == {}
    with pytest.raises(FileNotFoundError):
        store.local_file("a/data/part")


def test_what_this_machine_has_is_not_fetched_again(s3_server: S3Server, store: RemoteStore, prefix: str) -> None:
    path = store.scratch_file("a/one")
    path.write_bytes(b"one")
    sha256 = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    store.put_file(path, "a/one", sha256=sha256)
    put_elsewhere(s3_server, prefix, "a/two", b"two")
    before = len(s3_server.requests())
    for _ in range(2):
        assert store.local_file("a/one").read_bytes() == b"one"
        assert pickle.loads(pickle.dumps(store)).local_file("a/two").read_bytes() == b"two"
    assert [line.split()[0] for line in s3_server.requests()[before:]] == ["GET"]
    store.local_file("a/one").write_bytes(b"changed on this machine's disk")
    assert store.local_file("a/one").read_bytes() == b"one"


def test_bytes_that_were_not_put_are_never_handed_on(s3_server: S3Server, store: RemoteStore, prefix: str) -> None:
    sha256 = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"  # of b"one"
    put_elsewhere(s3_server, prefix, "a/small", b"0ne", sha256=sha256)
    put_elsewhere(s3_server, prefix, "a/large", bytes(9 << 20), sha256=sha256)
    with pytest.raises(DamagedArtifactError, match=r"sha256 .* instead of 7692c3ad3540"):
        store.read_bytes("a/small")
    assert store.read_many(["a/small"]) == {}
    with pytest.raises(DamagedArtifactError):
        store.local_file("a/large", fresh=True)
    assert store.list_sizes("a") == {"a/small": 3, "a/large": 9 << 20}  # looked at, and left
    for key in ("a/small", "a/large"):
        with pytest.raises(DamagedArtifactError):
            store.local_file(key)
    assert store.list_sizes("a") == {}  # removed, so that they are built again
    assert not [path for path in Path(os.environ["PRETRAIN_CACHE_DIR"]).rglob("*") if path.name in {"small", "large"}]


@pytest.mark.slow
def test_a_listing_of_several_pages(store: RemoteStore) -> None:
    keys = [f"a/{index // 100}/{index:05d} ü+%.json" for index in range(1100)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda key: store.write_bytes(key, b"12"), keys))
    assert store.list_sizes("a") == dict.fromkeys(keys, 2)
    assert len(store.list_folders("a")) == 11
    assert len(store.read_many(keys)) == 1100
    store.delete("a")
    assert store.list_sizes("a") == {}
