"""The commands that read a store: what they print, their JSON, and how they fail. `run` has tests of its own."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.main import app
from tests.cli.fabricated import COPY, DOCUMENTS, FINGERPRINTS, RUN_ID, SHORT, UNREADABLE, Fabricated, fabricate
from tests.tiny import write_recipe


class Answer:
    """How a command ended."""

    def __init__(self, *arguments: str | Path) -> None:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        self.code = result.exit_code
        self.text = result.stdout
        self.errors = result.stderr

    @property
    def out(self) -> Any:
        """The one JSON object on stdout."""
        return json.loads(self.text)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Fabricated:
    return fabricate(tmp_path_factory.mktemp("fabricated") / "store")


@pytest.fixture
def own(tmp_path: Path) -> Fabricated:
    """One that a test may damage."""
    return fabricate(tmp_path / "store")


def test_ls_as_json(made: Fabricated) -> None:
    answer = Answer("ls", "--store", made.store.url, "--json")
    assert answer.code == 0
    assert set(answer.out) == {"artifacts", "runs"}
    assert [row["stage"] for row in answer.out["artifacts"]] == ["download", "filter", "dedup", "shard"]
    first = answer.out["artifacts"][0]
    assert set(first) == {"stage", "fingerprint", "parts", "bytes", "rows", "created"}
    assert (first["fingerprint"], first["parts"], first["rows"]) == (FINGERPRINTS["download"], 3, 5)
    assert answer.out["runs"] == [
        {
            "run_id": RUN_ID,
            "state": "completed",
            "seconds": 6.0,
            "stages": 4,
            "started": "2026-01-02T03:04:05+00:00",
        }
    ]


def test_ls_for_people(made: Fabricated) -> None:
    answer = Answer("ls", "--store", made.store.url)
    assert answer.code == 0
    assert "download/aaaaaaaaaaaa" in answer.text
    assert RUN_ID in answer.text


def test_ls_of_a_store_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    answer = Answer("ls", "--store", tmp_path / "none", "--json")
    assert (answer.code, answer.out) == (0, {"artifacts": [], "runs": []})
    assert not (tmp_path / "none").exists()


def test_show_gives_the_manifest_and_takes_the_beginning_of_a_fingerprint(made: Fabricated) -> None:
    manifest = made.artifacts["filter"].manifest
    for name in (f"filter/{FINGERPRINTS['filter']}", "filter/bbb"):
        answer = Answer("show", name, "--store", made.store.url, "--json")
        assert answer.code == 0
        assert answer.out == manifest.model_dump(mode="json")
        assert set(answer.out) == {
            *("schema_version", "stage", "stage_version", "fingerprint", "inputs"),
            *("config", "parts", "stats", "provenance"),
        }


def test_show_for_people_traces_the_lineage_down_to_the_source(made: Fabricated) -> None:
    answer = Answer("show", "shard/dd", "--store", made.store.url)
    assert answer.code == 0
    lines = answer.text.splitlines()
    lineage = [line.split()[0] for line in lines[lines.index("lineage") + 1 :]]
    assert lineage == [*(f"{s}/{FINGERPRINTS[s]}" for s in ("shard", "dedup", "filter", "download")), "source:wiki"]


@pytest.mark.parametrize("name", ["filter/ff", "filtre/bb", "runs/2026", "", "/", "../store/filter"])
def test_show_of_what_is_not_there(made: Fabricated, name: str) -> None:
    answer = Answer("show", name, "--store", made.store.url, "--json")
    assert (answer.code, answer.text) == (2, "")
    assert answer.errors == (
        f"error: {made.store.url} has no finished artifact {name!r}; `pretrain ls` lists what it has\n"
    )


def test_show_of_a_beginning_that_two_artifacts_have(own: Fabricated) -> None:
    manifest = own.artifacts["filter"].manifest
    other = manifest.model_copy(update={"fingerprint": "bbbc" * 8})
    own.store.write_bytes(f"filter/{other.fingerprint}/manifest.json", other.to_bytes())
    answer = Answer("show", "filter/bbb", "--store", own.store.url)
    assert answer.code == 2
    assert "'filter/bbb' names 2 artifacts (filter/bbbb" in answer.errors
    assert "write more of the fingerprint" in answer.errors
    assert Answer("show", "filter/bbbb", "--store", own.store.url).code == 0


def test_verify_reads_every_byte(own: Fabricated) -> None:
    answer = Answer("verify", "--store", own.store.url, "--json")
    num_bytes = sum(part.bytes for artifact in own.artifacts.values() for part in artifact.manifest.parts)
    assert answer.code == 0
    assert answer.out == {"artifacts": 4, "parts": 10, "bytes": num_bytes, "damaged": []}
    assert "4 artifacts, 10 parts" in Answer("verify", "--store", own.store.url).text


def test_verify_finds_each_kind_of_damage_and_ends_with_1(own: Fabricated) -> None:
    root = own.store.root
    (root / "dedup" / FINGERPRINTS["dedup"] / "data/part-00000.parquet").unlink()
    with (root / "filter" / FINGERPRINTS["filter"] / "data/part-00000.parquet").open("ab") as file:
        file.write(b"more")
    path = root / "shard" / FINGERPRINTS["shard"] / "data/train/part-00001.parquet"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    answer = Answer("verify", "--store", own.store.url, "--json")
    assert answer.code == 1
    assert [(d["artifact"].split("/")[0], d["path"], d["problem"]) for d in answer.out["damaged"]] == [
        ("filter", "data/part-00000.parquet", "wrong size"),
        ("dedup", "data/part-00000.parquet", "missing"),
        ("shard", "data/train/part-00001.parquet", "wrong sha256"),
    ]
    assert Answer("verify", "download/aa", "--store", own.store.url).code == 0
    people = Answer("verify", "shard/dd", "--store", own.store.url)
    assert people.code == 1
    assert "3 parts" in people.text
    assert "1 damaged; run the recipe again to rebuild them" in people.text
    assert Answer("verify", "eval/dd", "--store", own.store.url).code == 2


def test_an_artifact_of_a_newer_version_is_passed_over_and_refused_where_it_is_named(own: Fabricated) -> None:
    manifest = own.artifacts["filter"].manifest.model_copy(update={"schema_version": 99})
    own.store.write_bytes(f"filter/{manifest.fingerprint}/manifest.json", manifest.to_bytes())
    listed = Answer("ls", "--store", own.store.url, "--json").out["artifacts"]
    assert [row["stage"] for row in listed] == ["download", "dedup", "shard"]
    assert Answer("verify", "--store", own.store.url, "--json").out["artifacts"] == 3
    answer = Answer("show", "filter/bb", "--store", own.store.url, "--json")
    assert (answer.code, answer.text) == (1, "")
    assert "has manifest schema 99, this version reads up to 1: upgrade pretrain" in answer.errors


def test_a_manifest_that_is_no_json_is_an_artifact_that_is_not_finished(own: Fabricated) -> None:
    own.store.write_bytes(f"filter/{FINGERPRINTS['filter']}/manifest.json", b'{"stage": "filter", ')
    answer = Answer("ls", "--store", own.store.url, "--json")
    assert [row["stage"] for row in answer.out["artifacts"]] == ["download", "dedup", "shard"]
    assert Answer("show", "filter/bb", "--store", own.store.url).code == 2


def decisions(made: Fabricated, document: str, *options: str) -> list[dict[str, Any]]:
    answer = Answer("why", document, *options, "--store", made.store.url, "--json")
    assert answer.code == 0, answer.errors
    assert set(answer.out) == {"id", "source", "decisions"}
    listed: list[dict[str, Any]] = answer.out["decisions"]
    return listed


def decision(stage: str, kept: bool, **told: Any) -> dict[str, Any]:
    return {"stage": stage, "kept": kept, "reason": None, "value": None, "threshold": None, "evidence": None, **told}


def test_why_a_document_was_dropped(made: Fabricated) -> None:
    short = [
        decision("download", True),
        decision("filter", False, reason="too_few_words", value=6.0, threshold=50.0),
    ]
    assert decisions(made, SHORT) == short
    assert decisions(made, SHORT, "--run", RUN_ID) == short
    assert decisions(made, "text number 1,") == short
    copy = decision("dedup", False, reason="exact_duplicate", evidence=DOCUMENTS[0].id)
    assert decisions(made, COPY) == [decision("download", True), decision("filter", True), copy]
    unreadable = decision("download", False, reason="invalid_json", evidence="a.jsonl:6")
    assert decisions(made, UNREADABLE) == [unreadable]


def test_why_a_document_is_in_the_data(made: Fabricated) -> None:
    life = decisions(made, DOCUMENTS[0].id)
    assert [entry["kept"] for entry in life] == [True] * 4
    assert life[-1]["evidence"] == "data/train/part-00000.parquet"


def test_why_for_people_counts_the_documents_that_fit(made: Fabricated) -> None:
    answer = Answer("why", "of the source", "--store", made.store.url)
    assert answer.code == 0
    assert f"document {DOCUMENTS[0].id} of source wiki: text number 0, of the source" in answer.text
    assert "(5 documents have this text; this is the first)" in answer.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("why", "no such text"), f"no document of run {RUN_ID} has the id or contains the text 'no such text'"),
        (("why", SHORT, "--run", "yesterday"), f"no run 'yesterday' in STORE; the latest are: {RUN_ID}"),
        (("sample", "latest"), f"run {RUN_ID} has no train artifact; its state is completed"),
        (("sample", "yesterday"), f"no run 'yesterday' in STORE; the latest are: {RUN_ID}"),
        (("sample", "train/12"), "STORE has no finished artifact 'train/12'; `pretrain ls` lists what it has"),
        (("sample", "filter/bb"), "holds no tokenizer"),
    ],
)
def test_what_is_asked_for_and_not_there(made: Fabricated, arguments: tuple[str, ...], words: str) -> None:
    answer = Answer(*arguments, "--store", made.store.url, "--json")
    assert (answer.code, answer.text) == (2, "")
    assert words.replace("STORE", made.store.url) in answer.errors
    assert "Traceback" not in answer.errors


def test_a_store_without_a_run(tmp_path: Path) -> None:
    for arguments in (("why", "text"), ("sample", "latest")):
        answer = Answer(*arguments, "--store", tmp_path)
        assert answer.code == 2
        assert answer.errors == f"error: the store {tmp_path} has no run yet; start one with `pretrain run RECIPE`\n"


def test_plan_as_json(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    answer = Answer("plan", recipe, "--store", tmp_path / "store", "--until", "dedup", "--json")
    assert answer.code == 0
    assert set(answer.out) == {"stages"}
    keys = {"stage", "fingerprint", "action", "reasons", "estimate"}
    assert [set(stage) for stage in answer.out["stages"]] == [keys] * 3
    assert answer.out["stages"][2]["estimate"]["worker_memory"] == {"value": 2 << 30, "unit": "bytes"}
    assert [stage["reasons"] for stage in answer.out["stages"]] == [
        [f"the store has no {stage} artifact yet"] for stage in ("download", "filter", "dedup")
    ]
    assert not (tmp_path / "store").exists()
    assert "3 of 3 stages to build" in Answer("plan", recipe, "--store", tmp_path / "s", "--until", "dedup").text


def test_plan_shows_values_as_they_are(own: Fabricated, tmp_path: Path) -> None:
    pattern = "(foo[a-z]+[/b]|bar)"
    recipe = write_recipe(tmp_path, filter={"rules": [{"rule": "regex", "pattern": [pattern]}]})
    answer = Answer("plan", recipe, "--store", own.store.url, "--until", "filter")
    assert answer.code == 0
    assert pattern in answer.text


def test_plan_refuses_as_run_does(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    for options, words in (
        (["--set", "filter.ruls=1"], "filter.ruls: unknown key (value 1); known here: rules"),
        (["--until", "trian"], "--until trian: not a stage of this recipe"),
        (["--set", "download.sources.0.uri=gone.jsonl"], "no file matches 'gone.jsonl'"),
    ):
        answer = Answer("plan", recipe, *options, "--store", tmp_path / "store", "--json")
        assert (answer.code, answer.text) == (2, "")
        assert words in answer.errors


def test_an_unreadable_run_record_is_passed_over_and_named_where_it_is_asked_for(own: Fabricated) -> None:
    own.store.write_bytes("runs/20990101-000000-x-0000.json", b"{")
    assert [run["run_id"] for run in Answer("ls", "--store", own.store.url, "--json").out["runs"]] == [RUN_ID]
    answer = Answer("why", SHORT, "--store", own.store.url)
    assert answer.code == 2
    assert "the record of run '20990101-000000-x-0000'" in answer.errors


def test_without_a_command_the_help_is_shown() -> None:
    answer = Answer("--help")
    assert answer.code == 0
    for command in ("run", "plan", "ls", "show", "why", "sample", "verify"):
        assert f"\n  {command} " in answer.text
