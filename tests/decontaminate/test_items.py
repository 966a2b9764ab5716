"""Rows of evaluation files as items, and every format of the corpora that are there."""

import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pretrain.decontaminate.config import TaskFile
from pretrain.decontaminate.items import Item, read_items
from pretrain.errors import InputError
from pretrain.external import external_file
from pretrain.filehash import FileHashes

ROWS = [{"q": "one", "a": ["x", "y"]}, {"q": "two", "a": ["z"]}]
EVAL = Path(os.environ.get("PRETRAIN_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "eval"


def items(path, **task):
    config = TaskFile.model_validate({"name": "t", "path": str(path), **task})
    return read_items(config, [external_file(path, path.name, FileHashes())])


def write(path):
    """The rows in the format that the name says."""
    match path.name.split(".")[1]:
        case "jsonl":
            data = "\n".join(map(json.dumps, ROWS)).encode()
        case "json":
            data = json.dumps({"version": 1, "rows": ROWS}).encode()
        case "csv":
            data = b"q,a\n" + b"".join(f'"{row["q"]}",{"".join(row["a"])}\n'.encode() for row in ROWS)
        case "tsv":
            data = b"\xef\xbb\xbfq\ta\n" + b"".join(f"{row['q']}\t-\n".encode() for row in ROWS)
        case _:
            pq.write_table(pa.Table.from_pylist(ROWS), path)
            return path
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize(
    "name", ["f.jsonl", "f.jsonl.gz", "f.json", "f.json.gz", "f.csv", "f.csv.gz", "f.tsv", "f.parquet"]
)
def test_every_format(tmp_path, name):
    assert items(write(tmp_path / name), fields=["q"]) == [Item("0", ("one",)), Item("1", ("two",))]


@pytest.mark.parametrize(
    ("row", "task", "passages"),
    [
        ({"q": "why", "c": ["a", "b"]}, {"fields": ["q", "c"]}, ("why", "a", "b")),
        ({"q": "why", "c": ["a", "b"]}, {"fields": [["q", "c"]]}, ("why a", "why b")),
        ({"c": {"text": ["a", "b"], "label": ["A", "B"]}}, {"fields": ["c.text"]}, ("a", "b")),
        ({"c": [{"text": "a"}, {"text": "b"}]}, {"fields": ["c.text"]}, ("a", "b")),
        ({"targets": {"yes it is": 1, "no": 0}}, {"fields": ["targets"]}, ("yes it is", "no")),
        ({"q": "1 + 1 =", "a": 2}, {"fields": [["q", "a"]]}, ("1 + 1 = 2",)),
        (
            {"s": "so _ won", "o": ["Al", "Bo"]},
            {"fields": ["s"], "blank": "_", "blank_fields": ["o"]},
            ("so Al won", "so Bo won"),
        ),
    ],
)
def test_passages_of_a_row(tmp_path, row, task, passages):
    path = tmp_path / "f.jsonl"
    path.write_text(json.dumps(row))
    assert items(path, **task) == [Item("0", passages)]


def test_rows_of_one_id_are_one_item(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text("".join(json.dumps({"doc": {"n": n // 2}, "t": f"text {n % 3}"}) + "\n" for n in range(4)))
    assert items(path, fields=["t"], id="doc.n") == [Item("0", ("text 0", "text 1")), Item("1", ("text 2", "text 0"))]


@pytest.mark.parametrize(
    ("name", "content", "task", "message"),
    [
        ("f.txt", "text", {}, r"ends with none of \.jsonl, "),
        ("f.jsonl", "{broken", {}, r"cannot read the items of .*f\.jsonl"),
        ("f.jsonl", "[1]", {}, "holds a list where an item has to be an object"),
        ("f.json", '{"a": 1}', {}, "the object has 0 lists"),
        ("f.jsonl.gz", "no gzip", {}, "cannot read the items of"),
        ("f.jsonl", '{"text": ""}', {"fields": ["text", ["q", "c"]]}, r"none of the 1 rows of the task t .* \[q, c\]"),
        ("f.jsonl", '{"text": ""}', {"id": "n"}, "row 0 of the task t has 0 values at its id n"),
    ],
)  # fmt: skip
def test_a_file_that_gives_no_items_says_why(tmp_path, name, content, task, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        items(path, **{"fields": ["text"], **task})


WINOGRANDE = {"fields": ["sentence"], "blank": "_", "blank_fields": ["option1", "option2"]}


@pytest.mark.parametrize(
    ("name", "task", "num_items", "first"),
    [
        ("arc_easy.jsonl.gz", {"fields": ["question"], "id": "id"}, 570, "Which technology was developed most"),
        ("blimp_part1.jsonl.gz", {"fields": ["sentence_good"]}, 34000, "Who should Derek hug after shocking"),
        ("copa.jsonl.gz", {"fields": [["premise", "choice1"]]}, 100, "The man turned on the faucet. The toilet"),
        ("gsm8k_test.jsonl", {"fields": ["question", "answer"]}, 1319, "Janet’s ducks lay 16 eggs per day."),
        ("lambada_test_openai.jsonl", {"fields": ["text"]}, 5153, "In my palm is a clear stone"),
        ("mmlu_part1.jsonl.gz", {"fields": ["question", ["question", "choices"]]}, 5182, "Find all c in Z_3"),
        ("oe_arc_easy__rc_0shot.jsonl.gz", {"fields": ["doc.query"], "id": "native_id"}, 570, "Question: Which"),
        (
            "oe_hellaswag__rc_5shot.jsonl.gz",
            {"fields": [["doc.query", "doc.choices"]], "id": "doc.ind"},
            1000,
            "Finance",
        ),
        ("openbookqa.jsonl.gz", {"fields": ["question_stem"], "id": "id"}, 500, "Frilled sharks and angler fish"),
        ("piqa.jsonl.gz", {"fields": ["goal", "sol1", "sol2"]}, 1838, "How do I ready a guinea pig cage"),
        ("TruthfulQA.csv", {"fields": ["Question", "Best Answer"]}, 790, "What happens to you if you eat"),
        ("truthfulqa_mc_task.json", {"fields": [["question", "mc1_targets"]]}, 790, "What happens to you if you"),
        ("winogrande_xl.jsonl.gz", WINOGRANDE, 1267, "Sarah was a much better surgeon than Maria so Sarah always"),
    ],
)
@pytest.mark.skipif(not EVAL.is_dir(), reason="needs the evaluation files: set PRETRAIN_SHARED_DATA")
def test_public_evaluation_files(name, task, num_items, first):
    found = items(EVAL / name, **task)
    assert len(found) == num_items
    assert found[0].passages[0].startswith(first)
