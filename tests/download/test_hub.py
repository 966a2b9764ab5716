import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pretrain.download.config import DownloadConfig
from pretrain.download.readers.hub import read_hub
from pretrain.errors import InputError, StageError, TransientInputError
from tests.download.downloading import Downloaded, download, plan

ROWS = [{"id": index, "text": f"text {index}"} for index in range(5)]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")


def dataset_folder(folder: Path) -> Path:
    path = folder / "copy"
    path.mkdir()
    for split, rows in (("train", ROWS[:3]), ("test", ROWS[3:])):
        (path / f"{split}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return path


def written(folder: Path, files: dict[str, str | bytes | pa.Table]) -> Path:
    """A dataset folder with these files."""
    for name, content in files.items():
        path = folder / "copy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pa.Table):
            pq.write_table(content, path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / "copy"


def read(folder: Path, path: Path, **options: str) -> Downloaded:
    return download(folder, {"uri": f"hf://datasets/{path}", "split": "train", **options})


def test_a_local_dataset_folder_is_read_by_split(folder: Path):
    source = {"uri": f"hf://datasets/{dataset_folder(folder)}", "id_key": "id"}
    train = download(folder, {**source, "split": "train"})
    assert train.texts == ["text 0", "text 1", "text 2"]
    assert [document.metadata for document in train.documents][:2] == ['{"source_id":0}', '{"source_id":1}']
    assert download(folder, {**source, "split": "test"}).texts == ["text 3", "text 4"]


def test_a_dataset_saved_to_disk_is_read(folder: Path):
    split = datasets.Dataset.from_list(ROWS)
    split.save_to_disk(folder / "one")
    datasets.DatasetDict({"train": split, "test": split.select([4])}).save_to_disk(folder / "several")
    for name, texts in (("one", [row["text"] for row in ROWS]), ("several", ["text 4"])):
        assert download(folder, {"uri": f"hf://datasets/{folder}/{name}", "split": "test"}).texts == texts


def test_bad_records_and_a_limit(folder: Path):
    rows = [{"text": "a"}, {"text": None}, {"text": "b"}, {"text": "c"}]
    datasets.Dataset.from_list(rows).save_to_disk(folder / "saved")
    source = {"uri": f"hf://datasets/{folder}/saved", "split": "train", "max_documents": 2}
    result = download(folder, source)
    assert (result.texts, result.reasons) == (["a", "b"], [("missing_text", "train@1")])


def test_an_unreadable_record_of_a_local_folder_costs_itself_alone(folder: Path):
    path = written(folder, {"train.jsonl": '{"text":"a"}\n{broken\n{"text":"b"}\n'})
    result = read(folder, path)
    assert (result.texts, result.reasons) == (["a", "b"], [("invalid_json", "train.jsonl:2")])


def test_a_broken_first_file_and_a_cut_one_leave_the_others(folder: Path):
    packed = gzip.compress(b'{"text":"c"}\n{"text":"d"}\n', mtime=0)
    files = {
        "train-0.jsonl": "broken\n",
        "train-1.jsonl": '{"text":"a"}\n{"text":"b"}\n',
        "train-2.jsonl.gz": packed[:-8],
    }
    result = read(folder, written(folder, files))
    assert result.texts == ["a", "b", "c", "d"]
    assert result.reasons == [("invalid_json", "train-0.jsonl:1"), ("truncated_file", "train-2.jsonl.gz:3")]


def test_a_column_added_in_a_later_file_loses_nothing(folder: Path):
    files = {f"train-{index}.jsonl": f'{{"text":"{index}"}}\n' for index in range(4)}
    files["train-1.jsonl"] = '{"text":"1","new":[1]}\n'
    result = read(folder, written(folder, files))
    assert (result.texts, result.ledger) == (["0", "1", "2", "3"], [])
    assert [document.metadata for document in result.documents] == [None, '{"new":[1]}', None, None]


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("train.json", '[{"text":"a"},\n {"text":"b"}]', ["a", "b"]),
        ("train.csv", "n,text\n1,a\n2,b\n", ["a", "b"]),
        ("train.tsv", "n\ttext\n1\ta,b\n", ["a,b"]),
        ("train.txt", "a\n\nb\n", ["a", "b"]),
        ("data/train-00000-of-00001.parquet", pa.table({"text": ["a", "b"]}), ["a", "b"]),
    ],
)
def test_a_local_folder_of_other_files_is_read_as_datasets_reads_it(folder: Path, name, content, texts):
    path = written(folder, {name: content})
    assert read(folder, path).texts == texts
    rows = datasets.load_dataset(str(path), split="train", streaming=True)
    assert [row["text"] for row in rows if row["text"]] == texts


CARD = """---
configs:
- config_name: x
  data_files: x/*.jsonl
- config_name: y
  data_files:
  - {split: train, path: [y/b.jsonl, "y/*.jsonl"]}
  - {split: test, path: y/test/c.jsonl}
---
"""


def test_a_configuration_of_a_local_folder(folder: Path):
    rows = {name: f'{{"text":"{name}"}}\n' for name in ("x/a.jsonl", "y/a.jsonl", "y/b.jsonl", "y/test/c.jsonl")}
    path = written(folder, {"README.md": CARD, **rows})
    assert read(folder, path, config="x").texts == ["x/a.jsonl"]
    assert read(folder, path, config="y").texts == ["y/a.jsonl", "y/b.jsonl"]
    assert read(folder, path, config="y", split="test").texts == ["y/test/c.jsonl"]
    with pytest.raises(InputError, match=r"config None.*pick one among.*\['x', 'y'\].*correct the source"):
        read(folder, path)
    with pytest.raises(InputError, match=r"config 'z'.*'z' not found"):
        read(folder, path, config="z")


def test_options_that_no_reader_of_ours_has_are_left_to_datasets(folder: Path):
    card = "---\nconfigs:\n- config_name: default\n  data_files: a.json\n  field: rows\n---\n"
    path = written(folder, {"README.md": card, "a.json": '{"rows":[{"text":"a"},{"text":null}]}'})
    result = read(folder, path)
    assert (result.texts, result.reasons) == (["a"], [("missing_text", "train@1")])


def test_a_file_of_a_split_that_no_fingerprint_counts_is_an_input_error(folder: Path):
    (folder / "other.jsonl").write_text('{"text":"a"}\n')
    card = "---\nconfigs:\n- config_name: default\n  data_files: ../other.jsonl\n---\n"
    with pytest.raises(InputError, match=r"other\.jsonl of split 'train' is no file of .*copy it"):
        read(folder, written(folder, {"README.md": card, "a.jsonl": '{"text":"b"}\n'}))


class Load:
    """Stands in for `datasets.load_dataset`: remembers how it was called, and streams rows up to a broken one."""

    def __init__(self, *rows: dict[str, Any] | Exception) -> None:
        self.rows = rows
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, *args: Any, **options: Any) -> Iterator[dict[str, Any]]:
        self.calls.append((args, options))
        for row in self.rows:
            if isinstance(row, Exception):
                raise row
            yield row


HUB = {"uri": "hf://datasets/owner/name", "split": "train", "revision": COMMIT}


def test_what_is_asked_of_the_hub(folder: Path, monkeypatch):
    load = Load({"text": "a"}, {"text": 7})
    monkeypatch.setattr(datasets, "load_dataset", load)
    result = download(folder, {**HUB, "config": "en"})
    assert (result.texts, result.reasons) == (["a"], [("not_a_string", "train@1")])
    assert load.calls == [(("owner/name", "en"), {"split": "train", "revision": COMMIT, "streaming": True})]


def test_a_hub_dataset_that_breaks_on_the_way_fails_the_source(folder: Path, monkeypatch):
    broken = datasets.exceptions.DatasetGenerationError("a column was added")
    monkeypatch.setattr(datasets, "load_dataset", Load({"text": "a"}, {"text": "b"}, broken))
    with pytest.raises(InputError, match=r"'s0'.*after row 1, and nothing of what follows: a column was added"):
        download(folder, HUB, max_bad_fraction=1.0)
    assert download(folder, {**HUB, "max_documents": 2}).texts == ["a", "b"]  # it does not get there


def test_a_connection_that_breaks_on_the_way_can_be_tried_again(folder: Path, monkeypatch):
    monkeypatch.setattr(datasets, "load_dataset", Load({"text": "a"}, ConnectionError("reset")))
    with pytest.raises(TransientInputError, match=r"owner/name could not be read.*run the same command"):
        download(folder, HUB)


def test_a_saved_dataset_that_is_damaged_fails_the_source(folder: Path):
    datasets.Dataset.from_list(ROWS).save_to_disk(folder / "saved")
    (arrow,) = (folder / "saved").glob("*.arrow")
    arrow.write_bytes(arrow.read_bytes()[:100])
    with pytest.raises(InputError, match=r"datasets cannot read .*saved"):
        download(folder, {"uri": f"hf://datasets/{folder}/saved", "split": "train"})


def test_a_split_that_does_not_exist_is_an_input_error(folder: Path):
    source = {"uri": f"hf://datasets/{dataset_folder(folder)}", "split": "dev"}
    with pytest.raises(InputError, match=r"'dev'.*correct the source"):
        download(folder, source)


def test_a_hub_dataset_counts_by_its_commit_and_offline_says_so(folder: Path):
    source = {"name": "hub", "uri": "hf://datasets/owner/name", "split": "train", "revision": COMMIT}
    config = DownloadConfig.model_validate({"sources": [source]})
    (entry,) = plan(folder, config)
    assert [file.identity for file in entry.files] == [f"revision:{COMMIT}"]
    with pytest.raises(StageError, match=r"owner/name could not be read.*run the same command"):
        list(read_hub(entry.files[0], config.sources[0]))
