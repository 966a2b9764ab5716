"""The settings file: what it takes, and what it says to what it does not take."""

from pathlib import Path

import pytest

from pretrain.errors import UsageError
from pretrain.settings import Settings, load_settings


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PRETRAIN_SETTINGS", str(tmp_path / "settings.toml"))
    return tmp_path / "settings.toml"


def test_without_a_file_everything_is_left_to_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRETRAIN_SETTINGS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert load_settings() == Settings()


def test_a_file_of_the_current_folder_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRETRAIN_SETTINGS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("settings.toml", "pretrain.toml"):
        (tmp_path / name).write_text('[store.options]\nendpoint_url = "https://elsewhere"\n')
    monkeypatch.chdir(tmp_path)
    assert load_settings().store.options.endpoint_url is None


def test_options_are_read(path: Path) -> None:
    path.write_text('[store.options]\nendpoint_url = "http://127.0.0.1:9"\naddressing_style = "path"\n')
    options = load_settings().store.options
    assert (options.endpoint_url, options.addressing_style, options.region) == ("http://127.0.0.1:9", "path", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[store.options]\nendpoint = "http://x"', "store.options.endpoint: Extra inputs are not permitted"),
        ('[store.options]\nsecret_access_key = "hunter2"', "takes endpoint_url, region, profile"),
        ('[store.options]\nendpoint_url = "x:9000"', "store.options.endpoint_url"),
        ("[store", "no TOML"),
    ],
)
def test_what_is_wrong_is_named_and_no_value_is_shown(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_a_file_that_was_named_has_to_be_there(path: Path) -> None:
    with pytest.raises(UsageError, match="which is not there"):
        load_settings()
