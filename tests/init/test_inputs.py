"""What of a checkpoint's folder counts as input."""

import os
import shutil

import pytest

from pretrain.errors import InputError
from pretrain.external import Surroundings
from pretrain.filehash import FileHashes
from pretrain.init.config import InitConfig
from pretrain.init.inputs import external_inputs
from pretrain.store import LocalStore
from tests.init.tiny_models import ARCHITECTURE, save_checkpoint


@pytest.fixture
def around(tmp_path):
    return Surroundings(tmp_path, LocalStore(tmp_path / "store"), FileHashes(tmp_path / "hashes"))


def fingerprint(path, around):
    [found] = external_inputs(InitConfig.model_validate({"from": path}), around)
    return found.fingerprint


def test_random_weights_read_nothing_from_outside(around):
    assert external_inputs(InitConfig.model_validate({"architecture": ARCHITECTURE}), around) == []


def test_content_counts_and_place_does_not(tmp_path, around):
    save_checkpoint(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / "README.md").write_text("notes")
    os.utime(tmp_path / "b" / "config.json")
    before = fingerprint("a", around)
    assert fingerprint(str(tmp_path / "b"), around) == before
    (tmp_path / "b" / "config.json").write_text((tmp_path / "b" / "config.json").read_text() + " ")
    assert fingerprint("b", around) != before


def test_the_files_are_the_config_and_the_weights(tmp_path, around):
    save_checkpoint(tmp_path / "a")
    [found] = external_inputs(InitConfig.model_validate({"from": "a"}), around)
    assert found.name == "model:from"
    assert [file.name for file in found.files] == ["config.json", "model.safetensors"]


def test_a_hub_id_without_a_commit_is_refused_with_what_to_do(around):
    with pytest.raises(
        InputError, match=r"'upstage/TinySolar-248m-4k': there is no folder .*a hub id \(owner/name\) with `revision`"
    ):
        external_inputs(InitConfig.model_validate({"from": "upstage/TinySolar-248m-4k"}), around)


def test_pickled_weights_are_refused(tmp_path, around):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.json").write_text("{}")
    (tmp_path / "a" / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(InputError, match="a pickle that can run code"):
        external_inputs(InitConfig.model_validate({"from": "a"}), around)
