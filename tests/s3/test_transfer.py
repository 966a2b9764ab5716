"""Runs between a local store and a bucket: the same bytes on both sides, none of them sent twice or kept on the way."""

import os
from pathlib import Path

import pytest

from pretrain.errors import DamagedArtifactError
from pretrain.remote_store import RemoteStore
from pretrain.store import LocalStore
from pretrain.transfer import Transferred, transfer
from tests.cli.fabricated import FINGERPRINTS, RUN_ID, Fabricated, fabricate
from tests.content import content_of
from tests.s3.bucket import client_of, content_of_bucket, objects_of
from tests.s3.server import BUCKET, READER_KEY, READER_SECRET, S3Server

FILTER = f"filter/{FINGERPRINTS['filter']}"
PART = f"{FILTER}/data/part-00000.parquet"


@pytest.fixture
def made(tmp_path: Path) -> Fabricated:
    return fabricate(tmp_path / "store")


def copy(source: LocalStore | RemoteStore, target: LocalStore | RemoteStore) -> Transferred:
    return transfer(source, target, "latest", lambda done, total: None)


def requests_for_parts(server: S3Server, first: int) -> list[str]:
    """The methods and keys of requests for parts since a moment."""
    found = [line.split()[:2] for line in server.requests()[first:]]
    return [f"{method} {path.rsplit('/', 1)[-1]}" for method, path in found if "/data/" in path or "/ledger/" in path]


def num_bytes_in_cache() -> int:
    cache = Path(os.environ["PRETRAIN_CACHE_DIR"])
    files = (path for path in cache.rglob("*.parquet") if path.is_file())
    return sum(path.stat().st_size for path in files)


def test_there_and_back(
    made: Fabricated,
    s3_server: S3Server,
    s3_store: RemoteStore,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[int, int]] = []
    assert transfer(made.store, s3_store, RUN_ID, lambda done, total: told.append((done, total))).files == 10 + 4
    num_bytes = sum(part.bytes for artifact in made.artifacts.values() for part in artifact.manifest.parts)
    assert (len(told), told[-1]) == (10, (num_bytes, num_bytes))  # each when it has arrived
    assert content_of_bucket(s3_server, prefix) == content_of(made.store.root)
    first = len(s3_server.requests())
    assert copy(made.store, s3_store).files == 0
    again = [line for line in s3_server.requests()[first:] if line.startswith("PUT") and "/leases/" not in line]
    assert (requests_for_parts(s3_server, first), again) == ([], [])
    for name, value in s3_server.environment(READER_KEY, READER_SECRET).items():
        monkeypatch.setenv(name, value)  # who imports need not be allowed to write there
    back = LocalStore(tmp_path / "back")
    assert copy(RemoteStore(s3_store.url), back).artifacts_copied == 4
    assert content_of(back.root) == content_of(made.store.root)
    assert num_bytes_in_cache() == 0
    left = objects_of(s3_server, prefix)
    assert sorted(key for key in left if key.split("/")[0] not in FINGERPRINTS) == [f"runs/{RUN_ID}.json"]


def test_what_is_in_the_bucket_is_asked_for_its_sha256_and_not_sent_again(
    made: Fabricated, s3_server: S3Server, s3_store: RemoteStore, prefix: str
) -> None:
    copy(made.store, s3_store)
    client, place = client_of(s3_server), {"Bucket": BUCKET, "Key": f"{prefix}/{PART}"}
    s3_store.delete(f"{FILTER}/manifest.json")
    s3_store.delete(f"{FILTER}/ledger/part-00000.parquet")
    before, first = client.head_object(**place)["LastModified"], len(s3_server.requests())
    mended = copy(made.store, s3_store)
    assert (mended.artifacts_copied, mended.files) == (1, 2)
    assert requests_for_parts(s3_server, first) == ["HEAD part-00000.parquet", "PUT part-00000.parquet"]
    assert client.head_object(**place)["LastModified"] == before
    assert content_of_bucket(s3_server, prefix) == content_of(made.store.root)


@pytest.mark.slow
def test_an_object_that_another_program_put_is_read(
    made: Fabricated, s3_server: S3Server, s3_store: RemoteStore, prefix: str
) -> None:
    data = made.store.read_bytes(PART)
    client_of(s3_server).put_object(Bucket=BUCKET, Key=f"{prefix}/{PART}", Body=data)
    assert copy(made.store, s3_store).files == 9 + 4
    s3_store.delete(f"{FILTER}/manifest.json")
    client_of(s3_server).put_object(Bucket=BUCKET, Key=f"{prefix}/{PART}", Body=data[:-1] + b"?")
    assert copy(made.store, s3_store).files == 1 + 1
    assert content_of_bucket(s3_server, prefix) == content_of(made.store.root)


@pytest.mark.slow
def test_a_damaged_object_is_named_and_left_where_it_is(
    made: Fabricated, s3_server: S3Server, s3_store: RemoteStore, prefix: str, tmp_path: Path
) -> None:
    copy(made.store, s3_store)
    data, sha256 = made.store.read_bytes(PART), made.artifacts["filter"].part("data/part-00000.parquet").sha256
    spoiled = {"Body": data[:-1] + b"?", "Metadata": {"sha256": sha256}}
    client_of(s3_server).put_object(Bucket=BUCKET, Key=f"{prefix}/{PART}", **spoiled)
    back = LocalStore(tmp_path / "back")
    with pytest.raises(DamagedArtifactError, match=r"is damaged: data/part-00000.parquet \(wrong sha256\);"):
        copy(s3_store, back)
    assert PART in objects_of(s3_server, prefix)
    assert not (back.root / FILTER / "manifest.json").exists()
    assert not (back.root / "runs").exists()
