"""An endpoint by the settings file; a variable goes before it."""

from pathlib import Path

import pytest

from pretrain.errors import StoreError
from pretrain.remote_store import RemoteStore
from pretrain.s3_client import open_objects
from tests.s3.server import BUCKET, S3Server


@pytest.fixture
def settings(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "settings.toml"
    monkeypatch.setenv("PRETRAIN_SETTINGS", str(path))
    path.write_text(
        f'[store.options]\nendpoint_url = "{s3_server.endpoint}"\nregion = "us-east-1"\naddressing_style = "path"\n'
    )
    return path


def test_the_endpoint_and_region_of_the_settings(
    s3_server: S3Server, settings: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    store = RemoteStore(f"s3://{BUCKET}/{prefix}")
    store.write_bytes("filter/aa/manifest.json", b"{}")
    assert store.read_bytes("filter/aa/manifest.json") == b"{}"
    assert open_objects(store.url).endpoint == s3_server.endpoint


def test_the_variable_goes_before_the_settings(settings: Path, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StoreError, match="no answer from http://127"):
        RemoteStore(f"s3://{BUCKET}/{prefix}").list_folders("filter")
