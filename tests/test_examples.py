"""Examples of what a reason took, and the tables of a stage that show them."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from pretrain.artifact import Artifact
from pretrain.catalog import find_artifact
from pretrain.examples import find_examples
from pretrain.stage_report import reason_rows, source_rows
from pretrain.store import LocalStore
from tests.data_run import DataRun, run_data_stages
from tests.tiny import prose, tiny_values

HOSTILE = "<img src=x onerror=alert(1)> [x](https://evil.example) https://u:pw123456@evil.example AKIAIOSFODNN7EXAMPLE"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> DataRun:
    """Two sources: six good texts of which two are copies, one hostile line, five short ones, one broken record."""
    folder = tmp_path_factory.mktemp("examples")
    good = prose(4)
    rows = {
        "docs": [{"text": text} for text in [*good, *good[:2]]],
        "web": [{"text": HOSTILE}, *({"text": f"short {n}"} for n in range(5)), {"text": 7}],
    }
    for name, records in rows.items():
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    values = tiny_values()
    sources = [{"name": name, "uri": f"{name}.jsonl"} for name in rows]
    values["download"] = {"sources": sources, "max_bad_fraction": 0.5}
    values["dedup"] = {"exact": {"normalize": "none"}, "minhash": None, "keep": {"order": "first"}}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return run_data_stages(folder / "tiny.yaml", folder / "store", until="dedup")


def test_the_first_three_of_each_reason_with_the_text_that_the_stage_read(run: DataRun) -> None:
    examples = find_examples(run.artifacts["filter"], run.artifacts["download"])
    assert {reason: [one.text for one in found] for reason, found in examples.items()} == {
        "too_few_lines": [HOSTILE, "short 0", "short 1"]
    }
    [duplicates] = find_examples(run.artifacts["dedup"], run.artifacts["filter"]).values()
    assert [one.text for one in duplicates] == [text[:1000] for text in prose(2)]
    assert all(one.row.evidence for one in duplicates)


def test_an_unreadable_record_has_a_place_and_no_text(run: DataRun) -> None:
    [example] = find_examples(run.artifacts["download"], None)["not_a_string"]
    assert (example.row.evidence, example.text) == ("web.jsonl:7", None)


def test_the_sources_of_a_stage(run: DataRun) -> None:
    assert source_rows(run.artifacts["filter"]) == [
        {"source": "docs", "documents in": 6, "documents out": 6, "dropped": 0, "kept": "100.0%", "reasons": ""},
        {
            "source": "web",
            "documents in": 6,
            "documents out": 0,
            "dropped": 6,
            "kept": "0.0%",
            "reasons": "too_few_lines 6",
        },
        {
            "source": "all",
            "documents in": 12,
            "documents out": 6,
            "dropped": 6,
            "kept": "50.0%",
            "reasons": "too_few_lines 6",
        },
    ]


def test_the_reasons_of_a_stage_with_examples(run: DataRun) -> None:
    rows = reason_rows(run.artifacts["filter"], run.artifacts["download"])
    assert [[row[name] for name in ("reason", "documents", "of input", "most of them from")] for row in rows] == [
        ["too_few_lines", "6", "50.0%", "web 6"],
        ["", "", "", ""],
        ["", "", "", ""],
    ]
    assert [(row["value"], row["threshold"]) for row in rows] == [("1", "3")] * 3
    assert [row["text"].replace("\u200b", "") for row in rows[1:]] == ["short 0", "short 1"]


def test_a_hostile_text_is_shown_without_its_secrets_and_cannot_act(run: DataRun) -> None:
    shown = reason_rows(run.artifacts["filter"], run.artifacts["download"])[0]["text"]
    assert shown.replace("\u200b", "") == (
        "<img src=x onerror=alert(1)> [x](https://evil.example) https://evil.example [secret]"
    )
    assert not any(active in shown for active in ("<i", "](", "://", "pw123456", "AKIA"))


def test_a_reason_whose_parts_are_not_looked_into_is_shown_without_an_example(run: DataRun) -> None:
    artifact = run.artifacts["filter"]
    stats = {**artifact.manifest.stats, "dropped_by_reason": {"rare": 1, "too_few_lines": 5}}
    other = type(artifact)(artifact.store, artifact.manifest.model_copy(update={"stats": stats}))
    assert [(row["reason"], row["document"] != "") for row in reason_rows(other, run.artifacts["download"])] == [
        ("too_few_lines", True),
        ("", True),
        ("", True),
        ("rare", False),
    ]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> DataRun:
    """Twelve sources with a short text and a good one each; the tenth has a text that repeats, the eleventh two."""
    folder = tmp_path_factory.mktemp("many")
    again = "one line of a text that comes again\n\n" * 3 + "another line"
    for n, good in enumerate(prose(12)):
        texts = [f"short {n}", good, *([again + str(n)] * {9: 1, 10: 2}.get(n, 0))]
        (folder / f"{n:02d}.jsonl").write_text(
            "\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8"
        )
    values = tiny_values()
    values["download"] = {"sources": [{"name": f"s{n}", "uri": f"{n:02d}.jsonl"} for n in range(12)]}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return run_data_stages(folder / "tiny.yaml", folder / "store", until="filter")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the parts that are opened."""
    paths: list[str] = []
    original = Artifact.open_part

    def recorded(artifact, part):  # type: ignore[no-untyped-def]
        paths.append(part.path)
        return original(artifact, part)

    monkeypatch.setattr(Artifact, "open_part", recorded)
    return paths


def texts_of(run: DataRun) -> dict[str, list[str | None]]:
    examples = find_examples(run.artifacts["filter"], run.artifacts["download"])
    return {reason: [one.text and one.text[-8:] for one in found] for reason, found in examples.items()}


def test_a_reason_of_any_part_has_its_examples_and_no_part_is_opened_in_vain(many: DataRun, opened: list[str]) -> None:
    assert [part.rows for part in many.artifacts["filter"].parts("ledger/")] == [1] * 9 + [2, 3, 1]
    assert texts_of(many) == {
        "paragraph_repetition": ["er line9", "r line10", "r line10"],
        "too_few_lines": ["short 0", "short 9", "short 10"],
    }
    assert opened == [f"{folder}/part-000{n}.parquet" for n in ("00", "09", "10") for folder in ("ledger", "data")]


def test_receipts_are_read_no_more_than_are_needed_and_spread_over_the_parts(
    many: DataRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[str]] = []
    original = type(many.store).read_many

    def recorded(store, keys):  # type: ignore[no-untyped-def]
        read.append(list(keys))
        return original(store, read[-1])

    monkeypatch.setattr(type(many.store), "read_many", recorded)
    monkeypatch.setattr("pretrain.examples._RECEIPTS_AT_ONCE", 4)
    assert len(texts_of(many)["paragraph_repetition"]) == 3
    assert [[key[-7:-5] for key in keys] for keys in read] == [["00", "03", "06", "09"], ["01", "04", "07", "10"]]


def test_parts_whose_receipts_are_gone_are_looked_into(many: DataRun, tmp_path: Path, opened: list[str]) -> None:
    artifact = many.artifacts["filter"]
    shutil.copytree(many.store.local_file(artifact.key), tmp_path / artifact.key)
    shutil.rmtree(tmp_path / artifact.key / "receipts")
    bare = find_artifact(LocalStore(tmp_path), artifact.key)
    examples = find_examples(bare, many.artifacts["download"])
    assert {reason: len(found) for reason, found in examples.items()} == {"paragraph_repetition": 3, "too_few_lines": 3}
    assert len(opened) == 12 + 3 + 3  # every ledger part for its reasons, and three with their texts
