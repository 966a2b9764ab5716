import pytest

from pretrain.errors import InputError, StageError
from pretrain.external import ExternalFile
from pretrain.filehash import cache_dir, sha256_of_file
from pretrain.model_fetching import local_model

KEY = "language.model"


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A file behind a URL, and a cache folder that is empty."""
    monkeypatch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights")
    return path


def at_url(url, sha256):
    return ExternalFile("model", url, f"sha256:{sha256}", 0)


def test_a_url_is_fetched_once(source):
    file = at_url(f"file://{source}", sha256_of_file(source))
    path = local_model(file, KEY)
    assert path.read_bytes() == b"weights"
    source.unlink()
    assert local_model(file, KEY) == path
    assert [entry.name for entry in (cache_dir() / "models").iterdir()] == [path.name]


def test_a_damaged_copy_is_fetched_again(source):
    file = at_url(f"file://{source}", sha256_of_file(source))
    local_model(file, KEY).write_bytes(b"broken!")
    assert local_model(file, KEY).read_bytes() == b"weights"


def test_other_bytes_than_the_recipe_says_are_refused_and_not_kept(source):
    with pytest.raises(InputError, match=f"has sha256 {sha256_of_file(source)}, the recipe says 0000"):
        local_model(at_url(f"file://{source}", "0" * 64), KEY)
    assert list((cache_dir() / "models").iterdir()) == []


def test_nothing_at_the_url(source):
    with pytest.raises(InputError, match=r"FileNotFoundError\); correct language\.model\.url"):
        local_model(at_url(f"file://{source}.missing", "0" * 64), KEY)


def test_an_unreachable_server_can_be_tried_again_and_no_message_shows_a_signature(source):
    with pytest.raises(StageError, match=r"cannot fetch .* http://127\.0\.0\.1:1/m \(") as caught:
        local_model(at_url("http://127.0.0.1:1/m?signature=secret", "0" * 64), KEY)
    assert "secret" not in str(caught.value)


def test_a_local_file_changed_since_the_plan_is_refused(source):
    with pytest.raises(InputError, match="was changed while the run was on its way"):
        local_model(ExternalFile("model", str(source), f"sha256:{'0' * 64}", 7), KEY)
