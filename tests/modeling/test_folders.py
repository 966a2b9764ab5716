"""What counts as a model folder: safetensors only, whole, and nothing outside of it."""

import json

import pytest

from pretrain.errors import InputError
from pretrain.modeling.folders import load_tokenizer, read_json_object, weight_files


def test_a_single_file_and_an_index(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert [file.name for file in weight_files(tmp_path)] == ["model.safetensors"]
    for name in ("b.safetensors", "a.safetensors"):
        (tmp_path / name).write_bytes(b"")
    weight_map = {"x": "b.safetensors", "y": "a.safetensors", "z": "b.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert [file.name for file in weight_files(tmp_path)] == ["a.safetensors", "b.safetensors"]


def test_pickled_weights_are_refused(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(InputError, match=r"pytorch_model\.bin, a pickle"):
        weight_files(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(InputError, match="neither model"):
        weight_files(tmp_path)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({"weight_map": {"x": "gone.safetensors"}}, "lacks gone.safetensors"),
        ({"weight_map": {"x": "../secret.safetensors"}}, "not a file of its own folder"),
        ({"weight_map": {}}, "no weight_map"),
        ([], "not a JSON object"),
    ],
)
def test_a_broken_index_is_refused(tmp_path, index, message):
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=message):
        weight_files(tmp_path)


def test_a_missing_or_broken_config_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no config\.json"):
        read_json_object(tmp_path / "config.json")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="cannot read"):
        read_json_object(tmp_path / "config.json")


def test_a_folder_without_tokenizer_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no tokenizer"):
        load_tokenizer(tmp_path)
