"""`pretrain funnel`: two tables that fit 100 columns, and the same as JSON."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from flows.main import app
from pretrain.cli.funnel import print_funnel
from pretrain.funnel import make_funnel
from pretrain.runs import RunRecord, StageRecord, save_run
from pretrain.store import LocalStore
from tests.command import pretrain
from tests.test_funnel import DOWNLOAD, FILTER
from tests.tiny import write_recipe


def records(**stats: dict[str, Any]) -> list[StageRecord]:
    return [StageRecord(stage=s, fingerprint="f", action="built", seconds=0, stats=v) for s, v in stats.items()]


def printed(**stats: dict[str, Any]) -> list[str]:
    out = Console(file=io.StringIO(), width=100, highlight=False, soft_wrap=True)
    funnel = make_funnel(records(**stats))
    assert funnel is not None
    print_funnel(out, funnel)
    text = out.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]


def ending_in(stage: dict[str, Any]) -> dict[str, Any]:
    """A download of the sources that come into the stage."""
    sources = {**stage["documents_by_source"]}
    for source, reasons in stage["dropped_by_source"].items():
        sources[source] = sources.get(source, 0) + sum(reasons.values())
    total = sum(sources.values())
    counts = {"documents_in": total, "documents_out": total, "dropped_by_reason": {}, "dropped_by_source": {}}
    return {**counts, "records_by_source": sources, "documents_by_source": sources}


def saved(folder: Path, stages: list[StageRecord]) -> LocalStore:
    store = LocalStore(folder)
    run = RunRecord(
        run_id="20260102-030405-small-beef",
        store=store.url,
        state="completed",
        seconds=1.0,
        stages=stages,
        started="2026-01-02T03:04:05+00:00",
        recipe_path="small.yaml",
        recipe={"name": "small"},
    )
    save_run(store, run)
    return store


def test_for_people() -> None:
    assert printed(download=DOWNLOAD, filter=FILTER) == [
        "source  records  download  filter   kept",
        "web           7         6       5  71.4%",
        "wiki          3         3       0   0.0%",
        "all          10         9       5  50.0%",
        "",
        "dropped by  reason         documents  of input  most of them from",
        "download    invalid_json           1     10.0%  web 1",
        "filter      too_few_words          3     33.3%  wiki 3",
        "            too_few_lines          1     11.1%  web 1",
        "filter changed and kept documents: ip_replaced 4, email_replaced 2",
    ]


def test_of_many_sources_and_reasons_the_largest_are_named() -> None:
    dropped = {f"source-with-a-long-name-{n:02d}": {f"reason_{r}": n + r for r in range(12)} for n in range(20)}
    by_reason = {f"reason_{r}": sum(n + r for n in range(20)) for r in range(12)}
    stage = {
        "documents_in": 3_600,
        "documents_out": 0,
        "dropped_by_reason": by_reason,
        "documents_by_source": {},
        "dropped_by_source": dropped,
    }
    lines = printed(download=ending_in(stage), filter=stage)
    assert max(map(len, lines)) <= 100
    assert lines[1:3] == [
        "source-with-a-long-name-19      294       294       0  0.0%",
        "source-with-a-long-name-18      282       282       0  0.0%",
    ]
    assert lines[12:15] == [
        "source-with-a-long-name-08      162       162       0  0.0%",
        "… and 8 more                    864       864       0  0.0%",
        "all                           3,600     3,600       0  0.0%",
    ]
    assert lines[17] == "filter      reason_11           410     11.4%  source-with-a-lon… 30, 19 others 380"
    assert lines[25:] == ["            … and 4 more        880     24.4%"]


def test_a_share_is_0_or_100_percent_only_where_it_is_exactly_that() -> None:
    stage = {
        "documents_in": 10_000,
        "documents_out": 9_999,
        "dropped_by_reason": {"too_long": 1},
        "documents_by_source": {"web": 9_999},
        "dropped_by_source": {"web": {"too_long": 1}},
    }
    lines = printed(download=ending_in(stage), filter=stage)
    assert lines[1] == "web      10,000    10,000   9,999  >99.9%"
    assert lines[4] == "filter      too_long          1     <0.1%"


def test_as_json(tmp_path: Path) -> None:
    store = saved(tmp_path, records(download=DOWNLOAD, filter=FILTER))
    for run in ([], ["latest"], ["20260102-030405-small-beef"]):
        result = CliRunner().invoke(app, ["funnel", *run, "--store", store.url, "--json"])
        assert result.exit_code == 0
        found = json.loads(result.stdout)
        assert set(found) == {"run_id", "stages", "sources", "changed"}
        assert found["stages"][1] == {
            "stage": "filter",
            "documents_in": 9,
            "documents_out": 5,
            "dropped": {"too_few_words": 3, "too_few_lines": 1},
        }
    assert (
        "wiki          3         3       0   0.0%" in CliRunner().invoke(app, ["funnel", "--store", store.url]).stdout
    )


def test_a_run_without_documents_has_none(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["funnel", "--store", saved(tmp_path, []).url])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "run 20260102-030405-small-beef has no documents yet, its state is completed" in result.stderr


@pytest.mark.slow
def test_a_run_ends_with_the_funnel(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    (tmp_path / "corpus" / "b.jsonl").write_text('{"text": "one line"}\n' * 3, encoding="utf-8")
    ended = pretrain("run", recipe, "--store", tmp_path / "store", "--until", "filter")
    assert ended.code == 0, ended.errors
    told = [" ".join(line.split()) for line in ended.text.splitlines()]  # the widths are the tests' above
    sources = told.index("source records download filter kept")
    reasons = told.index("dropped by reason documents of input most of them from")
    assert told[sources + 1 : reasons] == ["reference 269 267 264 98.1%", ""]
    assert told[reasons + 1 : reasons + 5] == [
        "download invalid_json 1 0.4%",
        "missing_text 1 0.4%",
        "filter too_few_lines 3 1.1%",
        "",
    ]
