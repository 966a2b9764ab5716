import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from pretrain.eval.tasks import EvalTask, stable_key, write_task


def task(**changes):
    values = {
        "name": "echo",
        "harness": {"output_type": "loglikelihood_rolling", "doc_to_target": "text"},
        "columns": pa.schema([pa.field("id", pa.string()), pa.field("text", pa.string())]),
        "rows": [{"id": "1", "text": "2024-01-01"}],
    }
    return EvalTask(**values | changes)


def test_a_task_is_a_yaml_file_and_typed_rows_beside_it(tmp_path):
    write_task(task(), tmp_path)
    config = yaml.safe_load((tmp_path / "echo.yaml").read_text())
    assert config == {
        "task": "echo",
        "dataset_path": "parquet",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "echo-test.parquet")}},
        "test_split": "test",
        "num_fewshot": 0,
        "metadata": {"version": 1},
        "output_type": "loglikelihood_rolling",
        "doc_to_target": "text",
    }
    assert pq.read_table(tmp_path / "echo-test.parquet").to_pylist() == [{"id": "1", "text": "2024-01-01"}]


def test_examples_to_show_are_a_split_of_their_own(tmp_path):
    write_task(task(fewshot=[{"id": "2", "text": "shown"}]), tmp_path)
    config = yaml.safe_load((tmp_path / "echo.yaml").read_text())
    assert config["num_fewshot"] == 1
    assert config["fewshot_config"] == {"split": "fewshot", "sampler": "first_n"}
    assert pq.read_table(tmp_path / "echo-fewshot.parquet")["text"].to_pylist() == ["shown"]


def test_the_hash_names_the_rows():
    assert task().to_jsonl() == b'{"id":"1","text":"2024-01-01"}\n'
    assert task().sha256 != task(rows=[{"id": "1", "text": "2024-01-02"}]).sha256


def test_a_key_depends_on_every_argument_and_on_no_process():
    assert stable_key(0, "question", "a") == 5559447672791568505
    assert len({stable_key(0, "ab", "c"), stable_key(0, "a", "bc"), stable_key(1, "ab", "c")}) == 3
