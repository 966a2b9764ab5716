"""`pretrain verify` on a bucket: damage of the right size is named, and after `--remove` it is built or copied anew."""

from pathlib import Path

import pytest

from pretrain.artifact import Artifact, find_damage
from pretrain.filehash import FileHashes
from pretrain.remote_store import RemoteStore
from pretrain.transfer import transfer
from tests.cli.fabricated import FINGERPRINTS, Fabricated, fabricate
from tests.cli.test_commands import Answer
from tests.s3.bucket import client_of, objects_of
from tests.s3.server import BUCKET, S3Server

FILTER = f"filter/{FINGERPRINTS['filter']}"
PATH = "data/part-00000.parquet"


@pytest.fixture
def made(tmp_path: Path, s3_store: RemoteStore) -> Fabricated:
    """A local store, of which the bucket has a copy."""
    made = fabricate(tmp_path / "store")
    transfer(made.store, s3_store, "latest", lambda done, total: None)
    return made


def test_damage_is_named_and_removed_on_request(
    made: Fabricated, s3_server: S3Server, s3_store: RemoteStore, prefix: str
) -> None:
    key, data = f"{prefix}/{FILTER}/{PATH}", made.store.read_bytes(f"{FILTER}/{PATH}")
    assert Answer("verify", "--store", s3_store.url, "--json").code == 0
    client_of(s3_server).put_object(Bucket=BUCKET, Key=key, Body=data[:-1] + b"?")
    copied = Artifact(s3_store, made.artifacts["filter"].manifest)
    assert find_damage(copied, FileHashes(), rehash=False) == []  # a run would find it whole
    named = Answer("verify", "filter/bb", "--store", s3_store.url)
    assert named.code == 1
    assert f"damaged: {FILTER}/{PATH} (wrong sha256)" in named.text
    assert "1 damaged; repeat with --remove, then run the recipe again to rebuild them" in named.text
    assert f"{FILTER}/{PATH}" in objects_of(s3_server, prefix)
    removed = Answer("verify", "--remove", "--store", s3_store.url, "--json")
    row = {"artifact": FILTER, "path": PATH, "problem": "wrong sha256"}
    assert (removed.code, removed.out["damaged"], removed.out["removed"]) == (1, [row], [row])
    assert [damage.problem for damage in find_damage(copied, FileHashes(), rehash=False)] == ["missing"]
    assert transfer(made.store, s3_store, "latest", lambda done, total: None).files == 2
    assert Answer("verify", "--store", s3_store.url, "--json").out["damaged"] == []
