"""`init.from`: an artifact of the store, and a model of a hub at a commit."""

import json
import shutil

import pytest
import torch
from pydantic import ValidationError

from pretrain.artifact import Manifest
from pretrain.errors import InputError, NotInStoreError, TransientInputError
from pretrain.external import Surroundings
from pretrain.filehash import FileHashes
from pretrain.init.config import InitConfig
from pretrain.init.inputs import external_inputs
from pretrain.stage import UnitFiles
from pretrain.store import LocalStore, open_store
from tests.init.hub_server import COMMIT, REPOSITORY, hub
from tests.init.models import weights
from tests.init.tiny_models import byte_tokenizer, run_init, save_checkpoint

FINGERPRINT = "0123456789abcdef0123456789abcdef"


def fingerprint(tmp_path, values):
    around = Surroundings(tmp_path, LocalStore(tmp_path / "store"), FileHashes(tmp_path / "hashes"))
    [found] = external_inputs(InitConfig.model_validate(values), around)
    return found.fingerprint


def put_artifact(store, stage, source):
    """The artifact `<stage>/<FINGERPRINT>` of a folder, beside files that are no part of the model."""
    files = UnitFiles(store, f"{stage}/{FINGERPRINT}")
    for path in sorted(source.iterdir()):
        with files.create(f"data/{path.name}") as output:
            shutil.copyfile(path, output.path)
    with files.create("metrics/train.jsonl") as output:
        output.path.write_text("{}\n")
    made = {"stage_version": 1, "inputs": [], "config": {}, "stats": {}, "provenance": {}}
    manifest = Manifest(stage=stage, fingerprint=FINGERPRINT, parts=files.written, **made)
    store.write_bytes(f"{stage}/{FINGERPRINT}/manifest.json", manifest.to_bytes())


# An artifact


@pytest.mark.parametrize("stage", ["train", "init"])
def test_an_artifact_is_the_model_that_it_holds(tmp_path, stage):
    model = save_checkpoint(tmp_path / "source")
    put_artifact(LocalStore(tmp_path / "store"), stage, tmp_path / "source")
    folder, stats = run_init(tmp_path, {"from": f"{stage}/{FINGERPRINT}"})
    expected = model.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(folder).items())
    assert stats["sources"].keys() == {"tokenizer", "model:from"}


def test_an_artifact_and_a_copy_of_its_folder_are_the_same_checkpoint(tmp_path):
    save_checkpoint(tmp_path / "source")
    put_artifact(LocalStore(tmp_path / "store"), "train", tmp_path / "source")
    by_name, by_path = ({"from": value} for value in (f"train/{FINGERPRINT}", "source"))
    assert fingerprint(tmp_path, by_name) == fingerprint(tmp_path, by_path)


def test_an_artifact_of_a_remote_store_is_the_same_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path / "cache"))
    model = save_checkpoint(tmp_path / "source")
    byte_tokenizer().save_pretrained(tmp_path / "source")
    store = open_store(f"memory://{tmp_path.name}")
    put_artifact(store, "train", tmp_path / "source")
    config = {"from": f"train/{FINGERPRINT}", "operations": [{"op": "resize_vocab"}]}
    folder, stats = run_init(tmp_path, config, store=store)
    expected = model.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(folder).items())
    assert stats["sources"]["model:from"] == fingerprint(tmp_path, {**config, "from": "source"})


def test_an_artifact_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotInStoreError, match=rf"init\.from: .* has no artifact train/{FINGERPRINT}; `pretrain ls`"):
        fingerprint(tmp_path, {"from": f"train/{FINGERPRINT}"})


def test_the_tokenizer_counts_only_where_an_operation_reads_it(tmp_path):
    save_checkpoint(tmp_path / "source")
    plain, resized = {"from": "source"}, {"from": "source", "operations": [{"op": "resize_vocab"}]}
    before = [fingerprint(tmp_path, values) for values in (plain, resized)]
    byte_tokenizer().save_pretrained(tmp_path / "source")
    after = [fingerprint(tmp_path, values) for values in (plain, resized)]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False]


# A hub


@pytest.fixture
def endpoint(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "upstream").save_pretrained(tmp_path / "upstream", max_shard_size="60KB")
    (tmp_path / "upstream" / "model.safetensors").unlink()
    (tmp_path / "upstream" / "pytorch_model.bin").write_bytes(b"\x80\x04")
    byte_tokenizer().save_pretrained(tmp_path / "upstream")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with hub(tmp_path / "upstream") as (address, asked):
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", HUB_URL.replace("@", address))
        yield asked


HUB_URL = "@/{repo_id}/resolve/{revision}/{filename}"
PINNED = {"from": REPOSITORY, "revision": COMMIT}


def fetched(asked):
    return {path.rpartition("/")[2] for path in asked if path.startswith("GET") and "/resolve/" in path}


def test_a_hub_model_is_fetched_once_and_without_pickles(tmp_path, endpoint):
    folder, _ = run_init(tmp_path, PINNED)
    expected = weights(tmp_path / "upstream")
    found = weights(folder)
    assert found.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
    names = {path.name for path in (tmp_path / "upstream").glob("*.safetensors")}
    assert len(names) > 3
    assert fetched(endpoint) == names | {"config.json", "model.safetensors.index.json"}
    endpoint.clear()
    run_init(tmp_path, {**PINNED, "operations": [{"op": "tie"}]}, name="again")
    assert fetched(endpoint) == set()


def test_its_tokenizer_comes_where_an_operation_reads_it(tmp_path, endpoint):
    config = {**PINNED, "operations": [{"op": "resize_vocab"}]}
    _, stats = run_init(tmp_path, config, tokenizer=byte_tokenizer(num_extra_tokens=1))
    assert {"tokenizer.json", "tokenizer_config.json"} <= fetched(endpoint)
    assert stats["operations"][0]["tokens_kept"] == 259


def test_planning_asks_the_hub_nothing_and_the_commit_counts(tmp_path, endpoint):
    first = fingerprint(tmp_path, PINNED)
    assert fingerprint(tmp_path, {"from": f"hf://{REPOSITORY}", "revision": COMMIT}) == first
    assert fingerprint(tmp_path, {**PINNED, "revision": COMMIT[::-1]}) != first
    assert endpoint == []


@pytest.mark.parametrize("changed", [{"revision": COMMIT[::-1]}, {"from": "owner/none"}])
def test_what_the_hub_does_not_have_is_an_input_error(tmp_path, endpoint, changed):
    with pytest.raises(InputError, match=r"the hub gives no .*correct the id or the commit"):
        run_init(tmp_path, {**PINNED, **changed})


def test_a_hub_that_cannot_be_reached_can_be_tried_again(tmp_path, monkeypatch, endpoint):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TransientInputError, match=r"could not be fetched .*run the same command to resume"):
        run_init(tmp_path, PINNED)


def test_a_connection_that_breaks_off_in_a_file_can_be_tried_again(tmp_path, endpoint):
    endpoint.cut = "model-00002"
    with pytest.raises(TransientInputError, match="could not be fetched"):
        run_init(tmp_path, PINNED)
    endpoint.cut = None
    folder, _ = run_init(tmp_path, PINNED)
    assert len(weights(folder)) == 8 * 9 + 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"from": f"hf://{REPOSITORY}"}, "is not pinned: give the commit too"),
        ({"from": REPOSITORY, "revision": "main"}, "is no commit of 40 hex digits"),
        ({"from": "/local/folder", "revision": COMMIT}, r"revision goes with a hub id \(owner/name\)"),
        ({"architecture": "1M", "revision": COMMIT}, "revision goes with a hub id"),
    ],
)
def test_what_is_not_pinned_is_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        InitConfig.model_validate(values)


def test_the_commit_is_in_the_recipe_and_in_the_lineage(tmp_path):
    assert json.dumps(InitConfig.model_validate(PINNED).identity()).count(COMMIT) == 1
    around = Surroundings(tmp_path, LocalStore(tmp_path / "store"), FileHashes(tmp_path / "hashes"))
    [found] = external_inputs(InitConfig.model_validate(PINNED), around)
    assert [(file.name, file.identity) for file in found.files] == [(REPOSITORY, f"revision:{COMMIT}")]
