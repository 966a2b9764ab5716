"""Why a document stayed, went or changed, and why a record never became one: over a real run of the data stages."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from flows.main import app
from pretrain.documents import document_id
from pretrain.errors import NotInStoreError
from pretrain.why import Life, explain
from tests.data_run import DataRun, run_data_stages
from tests.tiny import tiny_values

PROSE = "\n".join(["that with the river and the stone have to be of paper"] * 5)
LONG = f"{PROSE}\n\nA second paragraph (of v1.0: 50%), which is not like the first one at all."
MAIL = f"{PROSE}\nWrite to jane@corp.net or joe@corp.net, or ask at 8.8.8.8 or call 202-555-0143."
ROWS = [
    {"text": PROSE, "url": "https://example.org/prose"},
    {"text": "one # line"},
    "{broken",
    {"text": MAIL},
    {"text": LONG},
    {"text": PROSE, "url": "https://example.org/copy"},
    {"id": 7},
]
FILTER = {"rules": [{"rule": "pii"}, {"rule": "course"}, {"rule": "gopher_quality"}], "record_metrics": True}


class Made(NamedTuple):
    """A run, and how to ask it."""

    run: DataRun

    def why(self, question: str) -> Life:
        return explain(self.run.store, self.run.record, question)


def make(folder: Path, filter_config: dict[str, Any], shard_config: dict[str, Any] | None = None) -> Made:
    """A run of four data stages over ROWS, a line each."""
    (folder / "web").mkdir(parents=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in ROWS]
    (folder / "web" / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    values = {
        **tiny_values(),
        "download": {"sources": [{"name": "web", "uri": "web", "url_key": "url"}], "max_bad_fraction": 0.5},
        "filter": filter_config,
        "dedup": {"exact": {"normalize": "none"}, "minhash": None, "keep": {"order": "first"}},
        "language": None,
        "shard": {"parts": 1, "validation_fraction": 0, **(shard_config or {})},
    }
    (folder / "why.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return Made(run_data_stages(folder / "why.yaml", folder / "store"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("why"), FILTER)


def line(number: int) -> str:
    """The id of the record on a line."""
    return document_id("web", "a.jsonl", number - 1)


def verdicts(life: Life) -> list[tuple[str, bool, str | None]]:
    return [(one.stage, one.kept, one.reason) for one in life.decisions]


@pytest.mark.parametrize(
    "question",
    [
        line(5),
        "a second paragraph".capitalize(),
        "one at all.",
        "paper A second paragraph (of v1.0: 50%), which",  # as it looks on one line
        "a.jsonl:5",
        "/home/me/web/a.jsonl:5",
    ],
)
def test_a_kept_document_by_id_by_text_and_by_place(made: Made, question: str) -> None:
    life = made.why(question)
    assert (life.id, life.answers.num_found) == (line(5), 1)
    assert verdicts(life) == [(stage, True, None) for stage in ("download", "filter", "dedup", "shard")]
    assert life.decisions[-1].evidence == "data/train/part-00000.parquet"
    assert life.excerpt.startswith("that with the river and the stone have to be of paper that with")


def test_a_document_that_a_mixture_repeats_is_named_with_every_place(tmp_path: Path) -> None:
    repeated = make(tmp_path, FILTER, {"parts": 2, "mixture": {"web": {"epochs": 3}}})
    shard = repeated.run.artifacts["shard"]
    for number in (1, 4, 5):
        held = [pq.read_table(shard.open_part(part))["id"].to_pylist().count(line(number)) for part in shard.parts()]
        assert sum(held) == 3
        places = (
            f"{part.path} ({times} times)" if times > 1 else part.path
            for part, times in zip(shard.parts(), held, strict=True)
            if times
        )
        assert repeated.why(line(number)).decisions[-1].evidence == ", ".join(places)


def test_a_document_by_its_address(made: Made) -> None:
    life = made.why("https://example.org/copy")
    assert (life.id, life.url, life.answers.by) == (line(6), "https://example.org/copy", "url")
    assert verdicts(life)[-1] == ("dedup", False, "exact_duplicate")
    assert life.decisions[-1].evidence == line(1)


def test_a_dropped_document_lists_every_test_that_failed(made: Made) -> None:
    decision = made.why("one # line").decisions[-1]
    assert (decision.stage, decision.kept, decision.reason) == ("filter", False, "too_few_lines")
    assert (decision.value, decision.threshold) == (1.0, 3.0)
    told = decision.to_json()
    assert told["failed"] == [
        {"test": "course.too_few_lines", "value": 1.0, "threshold": 3.0},
        {"test": "gopher_quality.too_few_words", "value": 2.0, "threshold": 50.0},
        {"test": "gopher_quality.too_many_hashes", "value": 1 / 3, "threshold": 0.1},
        {"test": "gopher_quality.too_few_alphabetic_words", "value": 2 / 3, "threshold": 0.8},
        {"test": "gopher_quality.too_few_stop_words", "value": 0.0, "threshold": 2.0},
    ]
    assert (told["metrics"]["course.num_lines"], told["metrics"]["gopher_quality.num_words"]) == (1.0, 2.0)
    assert told["metrics"]["course.long_line_chars"] is None
    assert "changes" not in told


def test_every_change_of_a_document_is_listed(made: Made) -> None:
    life = made.why(line(4))
    decision = life.decisions[1]
    assert (decision.kept, decision.reason, decision.value) == (True, "emails_replaced", 2.0)
    assert [(change.reason, change.value) for change in decision.changes] == [
        ("emails_replaced", 2.0),
        ("ipv4_addresses_replaced", 1.0),
        ("phone_numbers_replaced", 1.0),
    ]
    assert [change["reason"] for change in decision.to_json()["changes"]] == [
        "emails_replaced",
        "ipv4_addresses_replaced",
        "phone_numbers_replaced",
    ]
    assert all(one.kept for one in life.decisions)


def test_a_changed_document_is_found_by_its_old_and_its_new_text(made: Made) -> None:
    assert made.why("Write to jane@corp.net").id == line(4)
    assert made.why("Write to email@example.com").id == line(4)


@pytest.mark.parametrize("question", [line(3), "a.jsonl:3", "web/a.jsonl:3"])
def test_a_record_that_never_became_a_document(made: Made, question: str) -> None:
    life = made.why(question)
    assert (life.id, life.source, life.place, life.excerpt) == (line(3), "web", "a.jsonl:3", "")
    assert verdicts(life) == [("download", False, "invalid_json")]
    assert made.why("a.jsonl:7").decisions[0].reason == "missing_text"


def test_a_text_that_several_documents_have(made: Made) -> None:
    life = made.why("with the river")
    assert (life.answers.by, life.answers.num_found) == ("text", 4)
    told = life.to_json()
    assert (told["id"], told["num_found"]) == (line(1), 4)
    assert told["found"] == [line(1), line(4), line(5), line(6)]
    assert set(made.why(line(1)).to_json()) == {"id", "source", "decisions"}


def test_what_is_not_there(made: Made) -> None:
    for question in (
        "no such text",
        "a.jsonl:99",
        "f" * 32,
        "https://example.org/none",
        "b.jsonl:3",
        "of paper " * 9999,
    ):
        with pytest.raises(NotInStoreError, match="has the id or contains the text"):
            made.why(question)


def test_a_filter_that_measured_nothing_down_says_nothing_of_it(tmp_path: Path) -> None:
    plain = make(tmp_path, {"rules": FILTER["rules"]})
    told = plain.why("one # line").decisions[-1].to_json()
    assert set(told) == {"stage", "kept", "reason", "value", "threshold", "evidence"}


def test_an_exhaustive_filter_lists_every_test_that_failed_without_a_table_of_metrics(tmp_path: Path) -> None:
    exhaustive = make(tmp_path, {"rules": FILTER["rules"], "exhaustive": True})
    told = exhaustive.why("one # line").decisions[-1].to_json()
    assert (told["reason"], told["value"], told["threshold"]) == ("too_few_lines", 1.0, 3.0)
    assert [failed["test"] for failed in told["failed"]] == [
        "course.too_few_lines",
        "gopher_quality.too_few_words",
        "gopher_quality.too_many_hashes",
        "gopher_quality.too_few_alphabetic_words",
        "gopher_quality.too_few_stop_words",
    ]
    lines = printed(exhaustive, "one # line")
    assert [text.split()[0] for text in lines[6:]] == [failed["test"] for failed in told["failed"]]


def printed(made: Made, question: str) -> list[str]:
    result = CliRunner().invoke(app, ["why", question, "--store", made.run.store.url])
    assert result.exit_code == 0, result.stderr
    return [line.rstrip() for line in result.stdout.splitlines()]


def test_a_record_that_never_became_a_document_for_people(made: Made) -> None:
    assert printed(made, "a.jsonl:3") == [
        f"record {line(3)} of source web is no document: a.jsonl:3",
        "stage     decision  reason        value  threshold  evidence",
        "download  dropped   invalid_json                    a.jsonl:3",
    ]


def test_changes_for_people(made: Made) -> None:
    lines = printed(made, line(4))
    assert lines[1:6] == [
        "stage     decision  reason                   value  threshold  evidence",
        "download  kept",
        "filter    changed   emails_replaced          2",
        "          changed   ipv4_addresses_replaced  1",
        "          changed   phone_numbers_replaced   1",
    ]
    assert ["course.num_lines", "6"] in [line.split() for line in lines]


def test_failed_tests_for_people(made: Made) -> None:
    lines = printed(made, "one # line")
    assert lines[5:8] == [
        "filter: failed tests                     value   threshold",
        "course.too_few_lines                     1       3",
        "gopher_quality.too_few_words             2       50",
    ]


def test_several_documents_for_people(made: Made) -> None:
    lines = printed(made, "with the river")
    assert lines[1:4] == [
        "https://example.org/prose",
        "(4 documents have this text; this is the first)",
        f"  {line(4)} of web: that with the river and the stone have t",
    ]
