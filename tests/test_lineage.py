"""The tree from an artifact to the files outside that it was made of, by name, size and hash."""

import hashlib
from pathlib import Path

import pytest

from pretrain.artifact import Artifact, InputRecord, Manifest
from pretrain.catalog import all_artifacts
from pretrain.errors import DamagedArtifactError
from pretrain.lineage import Ancestor, OutsideInput, SourceFile, lineage, trace
from pretrain.store import LocalStore
from tests.test_gc import run
from tests.tiny import write_recipe


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def finished(store: LocalStore, key: str, *inputs: str, **stats: int) -> Artifact:
    """An artifact without parts, made of others."""
    stage, _, fingerprint = key.partition("/")
    manifest = Manifest(
        stage=stage,
        stage_version=1,
        fingerprint=fingerprint,
        inputs=[InputRecord(stage=name.split("/")[0], fingerprint=name.split("/")[1]) for name in inputs],
        config={},
        parts=[],
        stats=dict(stats),
        provenance={"created": "2026-01-02T03:04:05+00:00", "git_commit": "c0ffee", "run_id": "mine"},
    )
    store.write_bytes(f"{key}/manifest.json", manifest.to_bytes())
    return Artifact(store, manifest)


def test_from_a_filter_to_the_source_file_and_its_hash(tmp_path: Path, store: LocalStore) -> None:
    recipe = write_recipe(tmp_path)
    run(recipe, run_id="20260101-1")
    download, filtered = all_artifacts(store)
    tree = trace(filtered)
    assert (tree.key, tree.run_id, tree.counts) == (filtered.key, "20260101-1", {"documents": 264})
    assert tree.inputs is not None
    (upstream,) = tree.inputs
    assert isinstance(upstream, Ancestor)
    assert (upstream.key, upstream.created) == (download.key, download.manifest.provenance["created"])
    source = tmp_path / "corpus/a.jsonl"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    file = SourceFile("a.jsonl", source.stat().st_size, f"sha256:{digest}")
    fingerprint = download.manifest.inputs[0].fingerprint
    assert upstream.inputs == (OutsideInput("source:reference", fingerprint, (file,)),)
    as_json = tree.to_json()["inputs"][0]["outside"][0]
    assert (as_json["name"], as_json["files"][0]["sha256"]) == ("source:reference", digest)


def test_what_two_ancestors_were_made_of_is_expanded_once(store: LocalStore) -> None:
    finished(store, "shard/aa", documents_out=3)
    finished(store, "tokenizer/bb", "shard/aa")
    finished(store, "pack/cc", "shard/aa", "tokenizer/bb", tokens=70)
    finished(store, "init/dd", "tokenizer/bb", parameters=9)
    train = finished(store, "train/ee", "pack/cc", "init/dd", tokens=700, parameters=9)
    tree = trace(train).to_json()
    pack, init = tree["inputs"]
    assert (tree["git_commit"], tree["run_id"], tree["tokens"], tree["parameters"]) == ("c0ffee", "mine", 700, 9)
    assert [entry.get("documents") for entry in pack["inputs"]] == [3, None]
    assert pack["inputs"][1]["inputs"] == [{"stage": "shard", "fingerprint": "aa", "repeated": True}]
    assert init["inputs"] == [{"stage": "tokenizer", "fingerprint": "bb", "repeated": True}]


def test_what_the_store_has_no_more_is_named(store: LocalStore) -> None:
    tree = trace(finished(store, "filter/bb", "download/aa", "source:docs/ff")).to_json()
    assert tree["inputs"] == [{"stage": "download", "fingerprint": "aa", "missing": True}]
    assert tree["outside"] == [{"name": "source:docs", "fingerprint": "ff", "files": None}]


def test_the_short_lineage_names_every_path(store: LocalStore) -> None:
    finished(store, "download/aa", "source:docs/ff")
    artifact = finished(store, "filter/bb", "download/aa")
    assert lineage(store, artifact.manifest) == [(0, "filter/bb"), (1, "download/aa"), (2, "source:docs  ff")]


def test_a_listing_that_was_changed_is_not_believed(tmp_path: Path, store: LocalStore) -> None:
    run(write_recipe(tmp_path), run_id="20260101-1")
    download, filtered = all_artifacts(store)
    path = store.root / download.key / "inputs/source-reference.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("a.jsonl", "b.jsonl"), encoding="utf-8")
    with pytest.raises(DamagedArtifactError, match=r"source-reference\.jsonl is damaged"):
        trace(filtered)
