"""`pretrain diff`: what it prints, its JSON, and how it ends."""

from pathlib import Path

import pytest

from pretrain.artifact import Artifact, Manifest
from pretrain.store import LocalStore
from tests.cli.fabricated import COPY, FINGERPRINTS, SHORT, Fabricated, fabricate
from tests.cli.test_commands import Answer
from tests.test_difference import artifact, document


def renamed(made: Fabricated, stage: str, fingerprint: str, *, as_stage: str, config: dict[str, object]) -> None:
    """A copy of an artifact, put as one of another stage and config."""
    source = made.artifacts[stage]
    key = f"{as_stage}/{fingerprint}"
    for part in source.manifest.parts:
        made.store.write_bytes(f"{key}/{part.path}", made.store.read_bytes(f"{source.key}/{part.path}"))
    changes = {"stage": as_stage, "fingerprint": fingerprint, "config": config}
    manifest = Manifest.model_validate(source.manifest.model_dump() | changes)
    made.store.write_bytes(f"{Artifact(made.store, manifest).key}/manifest.json", manifest.to_bytes())


@pytest.fixture
def made(tmp_path: Path) -> Fabricated:
    """Also with `filter/ab…`, which holds the documents of the download, and `filter/cd…`, which equals the filter."""
    made = fabricate(tmp_path / "store")
    renamed(made, "download", "ab" * 16, as_stage="filter", config={})
    renamed(made, "filter", "cd" * 16, as_stage="filter", config={"rules": [{"rule": "course"}]})
    return made


def test_for_people(made: Fabricated) -> None:
    answer = Answer("diff", "filter/ab", "filter/bb", "--store", made.store.url)
    assert (answer.code, answer.errors) == (0, "")
    assert [line.rstrip() for line in answer.text.splitlines()] == [
        f"A  filter/{'ab' * 16}",
        f"B  filter/{FINGERPRINTS['filter']}",
        "  config               A         B",
        "  filter               {}        (absent)",
        "  filter.rules.0.rule  (absent)  course",
        "  inputs       A              B",
        "  download     (absent)       aaaaaaaaaaaa…",
        "  source:wiki  eeeeeeeeeeee…  (absent)",
        "  stats          A  B",
        "  documents_in   6  5",
        "  documents_out  5  4",
        "parts",
        "  equal: 0",
        "  only in A: 1",
        "    data/part-00001.parquet",
        "  other content: 2",
        "    data/part-00000.parquet",
        "    ledger/part-00000.parquet",
        "documents  5 in A, 4 in B",
        "  only in A: 1 (B: too_few_words 1)",
        f"    {SHORT}  wiki  B dropped it: too_few_words, value 6, threshold 50",
        "      text number 1, of the source",
    ]
    assert max(map(len, answer.text.splitlines())) <= 100


def test_as_json(made: Fabricated) -> None:
    answer = Answer("diff", "filter/bb", "filter/ab", "--store", made.store.url, "--json", "--limit", "1")
    assert answer.code == 0
    assert set(answer.out) == {*("a", "b", "equal", "config", "inputs", "stats", "parts", "documents", "vocabulary")}
    assert answer.out["equal"] is False
    assert answer.out["config"] == [
        {"name": "filter", "b": {}},
        {"name": "filter.rules.0.rule", "a": "course"},
    ]
    assert answer.out["documents"]["only_in_b"] == {
        "count": 1,
        "first": [
            {
                "id": SHORT,
                "source": "wiki",
                "excerpt": "text number 1, of the source",
                "reason": "too_few_words",
                "value": 6.0,
                "threshold": 50.0,
            }
        ],
        "by_reason": {"too_few_words": 1},
    }


def test_the_limit_is_of_what_is_named(made: Fabricated) -> None:
    renamed(made, "dedup", "ef" * 16, as_stage="filter", config={})
    text = Answer("diff", "filter/ab", "filter/ef", "--store", made.store.url, "--limit", "1").text
    assert "  only in A: 2 (B: exact_duplicate 1, not in its ledger 1)\n" in text
    assert SHORT in text
    assert COPY not in text
    assert "    … and 1 more\n" in text.split("documents  ")[1]


def test_equal_ones_are_called_equal(made: Fabricated) -> None:
    for other in ("bb", "cd"):
        answer = Answer("diff", "filter/bb", f"filter/{other}", "--store", made.store.url)
        assert answer.code == 0
        assert answer.text.splitlines()[2:] == ["equal: the same config, inputs, stats and all 2 parts"]


def test_other_fields_are_shown_from_a_to_b(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    artifact(store, "aa", {"part-00000": [document(1)._replace(metadata="{}")]})
    artifact(store, "bb", {"part-00000": [document(1)._replace(lang="en", metadata='{"title": "' + "x" * 80 + '"}')]})
    text = Answer("diff", "filter/aa", "filter/bb", "--store", store.url).text
    assert text.split("documents  ")[1].splitlines() == [
        "1 in A, 1 in B",
        "  other fields: 1",
        f"    {document(1).id}  wiki",
        "      lang  (none) -> en",
        '      metadata  {} -> {"title": "' + "x" * 28 + "…",
    ]


def test_two_stages_and_an_unknown_artifact_are_usage_errors(made: Fabricated) -> None:
    answer = Answer("diff", "filter/bb", "shard/dd", "--store", made.store.url)
    assert (answer.code, answer.text) == (2, "")
    assert "are of different stages: name two artifacts of one stage" in answer.errors
    assert Answer("diff", "filter/bb", "filter/99", "--store", made.store.url).code == 2
