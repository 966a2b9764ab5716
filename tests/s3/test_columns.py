"""Some columns of a part cross the network, not the part."""

import os
from pathlib import Path

import pytest

from pretrain.artifact import Artifact
from pretrain.columns import open_columns
from pretrain.documents import Document
from pretrain.errors import DamagedArtifactError
from pretrain.remote_store import RemoteStore
from pretrain.store import open_store
from tests.document_artifact import make_document_artifact
from tests.s3.server import S3Server


@pytest.fixture
def artifact(s3_store: RemoteStore) -> Artifact:
    documents = [Document(f"{n:032x}", os.urandom(50_000).hex(), "wiki") for n in range(40)]
    return make_document_artifact(s3_store, "filter", [documents])


def test_ids_are_read_by_ranges_and_no_copy_is_made(
    s3_server: S3Server, artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path / "another machine"))
    (part,) = artifact.parts()
    assert part.bytes > 1_500_000
    elsewhere = Artifact(open_store(artifact.store.url), artifact.manifest)
    before = len(s3_server.requests())
    with open_columns(elsewhere, part) as file:
        ids = file.read(columns=["id"])["id"].to_pylist()
    assert ids == [f"{n:032x}" for n in range(40)]
    statuses = [line.split()[-1] for line in s3_server.requests()[before:]]
    assert set(statuses) == {"206"} and len(statuses) <= 4
    assert not [path for path in (tmp_path / "another machine").rglob("*.parquet") if path.is_file()]


def test_a_part_that_is_gone_or_shorter_is_damaged(artifact: Artifact) -> None:
    (part,) = artifact.parts()
    key = f"{artifact.key}/{part.path}"
    data = artifact.store.read_bytes(key)
    artifact.store.write_bytes(key, data[:-1])
    with pytest.raises(DamagedArtifactError, match="is damaged or missing"), open_columns(artifact, part):
        pass
    artifact.store.delete(key)
    with pytest.raises(DamagedArtifactError, match="is damaged or missing"), open_columns(artifact, part):
        pass
