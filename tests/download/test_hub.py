import json
from pathlib import Path

import datasets
import pytest

from pretrain.download.config import DownloadConfig
from pretrain.download.readers.hub import read_hub
from pretrain.errors import InputError, StageError
from tests.download.downloading import download, plan

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


def test_what_datasets_cannot_read_ends_the_stream(folder: Path):
    path = dataset_folder(folder)
    (path / "train.jsonl").unlink()
    (path / "train-0.jsonl").write_text('{"text":"a"}\n')
    (path / "train-1.jsonl").write_text("broken\n")
    result = download(folder, {"uri": f"hf://datasets/{path}", "split": "train"})
    assert (result.texts, result.reasons) == (["a"], [("unreadable_dataset", "train@1")])


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
