import json

import pytest

from pretrain.errors import InputError
from pretrain.external import Surroundings
from pretrain.filehash import FileHashes
from pretrain.store import LocalStore
from pretrain.tokenizer.config import TokenizerConfig
from pretrain.tokenizer.inputs import external_inputs


def find(folder, named, **values):
    around = Surroundings(folder, LocalStore(folder / "store"), FileHashes(folder / "cache"))
    return external_inputs(TokenizerConfig.model_validate({"import": named, **values}), around)


def write(folder, names):
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text(json.dumps({"name": name}))


def test_a_trained_tokenizer_has_no_outside_content(tmp_path):
    config = TokenizerConfig.model_validate({"train": {"vocab_size": 300}})
    around = Surroundings(tmp_path, LocalStore(tmp_path), FileHashes(tmp_path))
    assert external_inputs(config, around) == []


def test_a_folder_counts_by_the_tokenizer_in_it(tmp_path):
    write(tmp_path / "a", ["tokenizer.json", "tokenizer_config.json", "config.json", "model.safetensors"])
    write(tmp_path / "b", ["tokenizer.json", "tokenizer_config.json"])
    [a], [b] = find(tmp_path, "a"), find(tmp_path, "b")
    assert a.name == "tokenizer:imported"
    assert [file.name for file in a.files] == ["tokenizer.json", "tokenizer_config.json"]
    assert a.fingerprint == b.fingerprint


def test_a_moved_or_renamed_file_is_the_same_input(tmp_path):
    write(tmp_path / "a", ["tokenizer.json"])
    [before] = find(tmp_path, "a/tokenizer.json")
    (tmp_path / "a/tokenizer.json").rename(tmp_path / "mine.json")
    [after] = find(tmp_path, str(tmp_path / "mine.json"))
    assert after.fingerprint == before.fingerprint


def test_changed_content_is_another_input(tmp_path):
    write(tmp_path / "a", ["tokenizer.json"])
    [before] = find(tmp_path, "a")
    (tmp_path / "a/tokenizer.json").write_text("{}")
    [after] = find(tmp_path, "a")
    assert after.fingerprint != before.fingerprint


def test_other_kinds_are_found_by_their_names(tmp_path):
    folders = {
        "gpt2": ["encoder.json", "vocab.bpe", "config.json"],
        "roberta": ["vocab.json", "merges.txt", "tokenizer_config.json"],
        "t5": ["spiece.model", "special_tokens_map.json", "model.safetensors"],
        "llama": ["tokenizer.model", "tokenizer.json"],
        "gpt4": ["cl100k_base.tiktoken"],
    }
    for folder, names in folders.items():
        write(tmp_path / folder, names)
    assert {folder: [file.name for file in find(tmp_path, folder)[0].files] for folder in folders} == {
        "gpt2": ["vocab.json", "merges.txt"],
        "roberta": ["vocab.json", "merges.txt", "tokenizer_config.json"],
        "t5": ["tokenizer.model", "special_tokens_map.json"],
        "llama": ["tokenizer.json"],
        "gpt4": ["tokenizer.model"],
    }
    assert find(tmp_path, "gpt4/cl100k_base.tiktoken") == find(tmp_path, "gpt4")


def test_a_repository_of_a_hub_counts_by_its_commit(tmp_path):
    [found] = find(tmp_path, "owner/name", revision="0" * 39 + "1")
    [other] = find(tmp_path, "owner/name", revision="0" * 39 + "2")
    assert [(file.location, file.identity) for file in found.files] == [
        ("hf://owner/name", "revision:0000000000000000000000000000000000000001")
    ]
    assert found.fingerprint != other.fingerprint


def test_what_cannot_be_imported_is_named(tmp_path):
    write(tmp_path / "model", ["config.json"])
    write(tmp_path / "two", ["a.model", "b.tiktoken"])
    with pytest.raises(InputError, match=r"has no tokenizer \(it has config\.json\)"):
        find(tmp_path, "model")
    with pytest.raises(InputError, match=r"has several tokenizers \(a\.model, b\.tiktoken\): name one"):
        find(tmp_path, "two")
    with pytest.raises(InputError, match="there is nothing at"):
        find(tmp_path, "absent")
    with pytest.raises(InputError, match=r"For an id of a hub add `revision:` with the commit, 40 hex digits"):
        find(tmp_path, "openai-community/gpt2")
