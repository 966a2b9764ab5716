import gzip
import json
import random
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from pretrain.cli.app import app
from pretrain.fasttext_model import FastTextModel
from tests.command import pretrain
from tests.data_run import run_data_stages
from tests.tiny import prose, tiny_values

SMALL = ["--dim", "8", "--buckets", "2000", "--epochs", "10", "--learning-rate", "0.5"]
SPAM = ["click", "here", "win", "free", "prize", "offer", "cheap", "buy", "now", "best"]


def spam(num_documents):
    """Lines that no reference manual has."""
    generator = random.Random(0)
    return [" ".join(generator.choices(SPAM, k=30)) + f" {i}" for i in range(num_documents)]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Prose as JSON Lines and as parquet with another column, spam packed; a duplicate and a text in both."""
    folder = tmp_path_factory.mktemp("corpora")
    good, bad = list(dict.fromkeys(prose(240)))[:200], spam(200)
    rows = [json.dumps({"text": text}) for text in [*good[:100], good[0]]] + ["{broken"]
    (folder / "good.jsonl").write_text("\n".join(rows))
    pq.write_table(pa.table({"text": good[100:], "n": range(100)}), folder / "good.parquet")
    with gzip.open(folder / "bad.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in [*bad, good[1]])
    return folder


def train(corpora, output, *options):
    arguments = ["--positive", f"{corpora}/good.*", "--negative", f"{corpora}/bad*", "--output", str(output)]
    return CliRunner().invoke(app, ["train-classifier", *arguments, *SMALL, *options])


@pytest.fixture(scope="module")
def trained(corpora, tmp_path_factory):
    output = tmp_path_factory.mktemp("trained") / "model.bin"
    answer = train(corpora, output, "--json")
    assert answer.exit_code == 0, answer.output
    return output, json.loads(answer.stdout)


def test_it_tells_prose_from_spam_on_texts_it_has_not_seen(trained):
    _, report = trained
    assert (report["precision"], report["recall"], report["f1"], report["auc"]) == (1, 1, 1, 1)
    assert report["trained"]["positive"] + report["held_out"]["positive"] == 199
    assert report["trained"]["negative"] + report["held_out"]["negative"] == 200
    assert min(report["held_out"].values()) > 5
    assert (report["duplicates"], report["in_both_corpora"]) == (1, 1)
    assert report["unreadable"] == {"positive": {"invalid_json": 1}, "negative": {}}
    assert [row["threshold"] for row in report["thresholds"]][:3] == [0.01, 0.05, 0.1]
    assert report["config"]["dim"] == 8


def test_model_and_report_lie_side_by_side_and_nothing_else(trained):
    output, report = trained
    assert sorted(path.name for path in output.parent.iterdir()) == ["model.bin", "model.json"]
    assert json.loads((output.parent / "model.json").read_text()) == report
    assert FastTextModel(output, "model").labels == {"positive", "negative"}


def test_the_same_files_give_the_same_bytes_and_another_seed_others(corpora, trained, tmp_path):
    output, report = trained
    assert train(corpora, tmp_path / "again.bin").exit_code == 0
    assert (tmp_path / "again.bin").read_bytes() == output.read_bytes()
    assert train(corpora, tmp_path / "other.bin", "--seed", "1").exit_code == 0
    other = json.loads((tmp_path / "other.json").read_text())
    assert other["sha256"] != report["sha256"]


def test_what_people_see(corpora, tmp_path):
    answer = train(corpora, tmp_path / "model.bin", "--threshold", "0.25")
    lines = [line.split() for line in answer.stdout.splitlines()]
    assert ["threshold", "precision", "recall", "f1", "negatives", "kept"] in lines
    assert ["0.25", "1", "1", "1", "0"] in lines
    assert "1 duplicates, 1 texts in both corpora, 1 records without a text" in answer.stdout
    assert answer.stdout.rstrip().endswith(f"model: {{path: {tmp_path}/model.bin}}, threshold: 0.25}}")


@pytest.mark.parametrize(
    ("positive", "options", "message"),
    [
        ("none*.jsonl", [], "no file matches"),
        ("empty.jsonl", [], "the positive corpus .* has 0 texts .*records without a text: none"),
        ("good.jsonl", ["--text-key", "body"], "records without a text: invalid_json 1, missing_text 101.*--text-key"),
        ("bad*", [], "the positive corpus .* has 0 texts that are its own"),  # one class
        ("good.jsonl", ["--held-out", "0.001"], "no (positive|negative) text is left to hold out"),
        ("good.jsonl", ["--output", "model.ftz"], r"fastText models are named \.bin"),
        ("a::b", [], "--positive 'a::b': .*chained URLs"),
    ],
)
def test_what_cannot_be_trained_on_is_an_error(corpora, tmp_path, monkeypatch, positive, options, message):
    (tmp_path / "empty.jsonl").write_text("")
    monkeypatch.chdir(tmp_path)
    for path in corpora.iterdir():
        (tmp_path / path.name).symlink_to(path)
    arguments = ["--positive", positive, "--negative", "bad*", "--output", "model.bin", *SMALL, *options]
    answer = CliRunner().invoke(app, ["train-classifier", *arguments])
    assert answer.exit_code == 2
    assert not (tmp_path / "model.bin").exists()
    assert re.search(message, " ".join(answer.stderr.split())), answer.stderr


@pytest.fixture
def recipe(trained, tmp_path):
    """A recipe over texts of both kinds that filters with the model."""
    output, report = trained
    good, bad = prose(20), spam(20)
    rows = [json.dumps({"text": text}) for text in [*good, *bad]]
    (tmp_path / "corpus.jsonl").write_text("\n".join(rows))
    rule = {"rule": "quality_classifier", "model": {"path": str(output)}, "threshold": report["threshold"]}
    values = tiny_values(filter={"rules": [rule]})
    values["download"]["sources"][0]["uri"] = "corpus.jsonl"
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    return tmp_path / "recipe.yaml"


def test_a_recipe_filters_with_the_model(recipe, tmp_path):
    stats = run_data_stages(recipe, tmp_path / "store", until="filter").artifacts["filter"].manifest.stats
    assert (stats["documents_in"], stats["documents_out"]) == (40, 20)
    assert stats["dropped_by_reason"] == {"quality_score_too_low": 20}


@pytest.mark.slow
def test_so_does_the_command_with_worker_processes(recipe, tmp_path):
    answer = pretrain("run", recipe, "--until", "filter", "--store", tmp_path / "store", "--json")
    assert answer.code == 0, answer.errors
    assert answer.out["stages"][-1]["stats"]["dropped_by_reason"] == {"quality_score_too_low": 20}
