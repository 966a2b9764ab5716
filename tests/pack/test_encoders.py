"""Which library encodes bears on nothing: not with one that is missing, not with one that is wrong."""

import sys

import pytest

from pretrain.pack.config import PackConfig
from pretrain.pack.stage import build
from pretrain.sequences.batch_encoder import forget_loaded_tokenizers
from pretrain.store import LocalStore
from tests.pack.test_stage import make_tokenizer_artifact
from tests.sequences.stage_inputs import finished, make_context, make_documents, make_shard_artifact
from tests.sequences.test_batch_encoder import Shifted
from tests.tiny import prose

pytest.importorskip("gigatoken", reason="gigatoken is not installed: `pip install 'pretrain[gigatoken]'`")


def packed(folder):
    """Parts by path with their sha256, what was measured, and the files of the store."""
    forget_loaded_tokenizers()
    store = LocalStore(folder)
    texts = [f"{text} zebra" if number == 290 else text for number, text in enumerate(prose(300))]
    parts = [make_documents(texts[start : start + 100], f"source-{start}") for start in range(0, 300, 100)]
    inputs = {"shard": make_shard_artifact(store, parts, []), "tokenizer": make_tokenizer_artifact(store)}
    context = make_context(store, "pack", PackConfig(sequence_length=64), inputs)
    stats = build(context)
    measured = stats.pop("measured")
    artifact = finished(context, stats)
    assert len({part.path for part in artifact.parts()}) == len(artifact.parts())
    return {part.path: part.sha256 for part in artifact.parts()}, measured, store


def test_the_fast_one_is_used_where_it_agrees(tmp_path):
    _, measured, _ = packed(tmp_path)
    assert measured == {"documents_by_encoder": {"gigatoken": 300}}


def test_without_it_the_bytes_are_the_same(tmp_path, monkeypatch):
    expected, _, _ = packed(tmp_path / "with")
    monkeypatch.setitem(sys.modules, "gigatoken", None)
    found, measured, _ = packed(tmp_path / "without")
    assert (found, measured) == (expected, {"documents_by_encoder": {"tokenizers": 300}})


def test_where_it_is_wrong_about_one_text_it_encodes_none(tmp_path, monkeypatch, caplog):
    expected, _, _ = packed(tmp_path / "right")

    def shifted(path):
        return Shifted(path.parent, "zebra")

    monkeypatch.setattr("pretrain.sequences.batch_encoder._gigatoken", shifted)
    found, measured, store = packed(tmp_path / "wrong")
    assert (found, measured) == (expected, {"documents_by_encoder": {"tokenizers": 300}})
    assert "gigatoken and tokenizers differ on texts of 1 of 3 parts" in caplog.text
    for path, sha256 in found.items():
        assert store.digest(f"pack/built/{path}")[0] == sha256
