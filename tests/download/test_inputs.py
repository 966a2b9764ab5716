import hashlib
import os
from pathlib import Path

import pytest

from pretrain.download.config import DownloadConfig
from pretrain.errors import InputError
from tests.download.downloading import download, plan


def config(uri: str, **options: object) -> DownloadConfig:
    return DownloadConfig.model_validate({"sources": [{"name": "docs", "uri": uri, **options}]})


def fingerprint(folder: Path, uri: str) -> str:
    return plan(folder, config(uri))[0].fingerprint


@pytest.fixture
def data(folder: Path) -> Path:
    (folder / "data" / "deep").mkdir(parents=True)
    (folder / "data" / "a.jsonl").write_text('{"text":"a"}')
    (folder / "data" / "deep" / "b.jsonl").write_text('{"text":"b"}')
    return folder / "data"


def test_one_input_a_source_in_the_order_of_the_recipe(folder: Path, data: Path):
    sources = [{"name": name, "uri": uri} for name, uri in (("z", "data"), ("a", "data/*.jsonl"))]
    inputs = plan(folder, DownloadConfig.model_validate({"sources": sources}))
    names = [(entry.name, [file.name for file in entry.files]) for entry in inputs]
    assert names == [("source:z", ["a.jsonl", "deep/b.jsonl"]), ("source:a", ["a.jsonl"])]


def test_a_moved_or_touched_folder_is_the_same_input(folder: Path, data: Path):
    before = fingerprint(folder, "data")
    os.utime(data / "a.jsonl", (1, 1))
    data.rename(folder / "moved")
    assert fingerprint(folder, "moved") == before
    assert fingerprint(folder, str(folder / "moved")) == before
    assert fingerprint(folder, "moved/**/*.jsonl") == before


def test_one_byte_or_one_name_is_another_input(folder: Path, data: Path):
    before = fingerprint(folder, "data")
    (data / "a.jsonl").write_text('{"text":"A"}')
    changed = fingerprint(folder, "data")
    (data / "a.jsonl").rename(data / "c.jsonl")
    assert len({before, changed, fingerprint(folder, "data")}) == 3


def test_a_file_changed_after_planning_stops_the_run(folder: Path, data: Path, monkeypatch):
    planned = plan(folder, config("data"))
    (data / "a.jsonl").write_text('{"text":"changed"}')
    monkeypatch.setattr("tests.download.downloading.plan", lambda *_: planned)
    with pytest.raises(InputError, match=r"a\.jsonl was changed while the run was on its way"):
        download(folder, {"name": "docs", "uri": "data"})


@pytest.mark.parametrize("uri", ["none.jsonl", "data/*.parquet", "nothing/"])
def test_a_uri_that_names_nothing_is_an_input_error(folder: Path, data: Path, uri):
    with pytest.raises(InputError, match="no file matches"):
        plan(folder, config(uri))


def test_a_folder_of_hidden_files_only_is_an_input_error(folder: Path):
    (folder / "data").mkdir()
    (folder / "data" / ".hidden").write_text("x")
    with pytest.raises(InputError, match="hidden files only"):
        plan(folder, config("data"))


def test_a_file_name_that_is_not_utf8_is_an_input_error_that_shows_its_bytes(folder: Path):
    (folder / os.fsdecode(b"caf\xe9.jsonl")).write_text('{"text":"a"}')
    with pytest.raises(InputError, match=r"caf\\xe9\.jsonl is not UTF-8.*rename it"):
        plan(folder, config("*.jsonl"))


def test_a_file_of_the_given_sha256_is_read_and_any_other_is_refused(folder: Path, data: Path):
    digest = hashlib.sha256(b'{"text":"a"}').hexdigest()
    assert len(plan(folder, config("data/a.jsonl", sha256=digest))) == 1
    with pytest.raises(InputError, match=f"has the sha256 {digest}, the recipe says {'0' * 64}; get the file again"):
        plan(folder, config("data/a.jsonl", sha256="0" * 64))
    with pytest.raises(InputError, match=r"sha256 is that of one file, but 'data' has 2; name one"):
        plan(folder, config("data", sha256=digest))
