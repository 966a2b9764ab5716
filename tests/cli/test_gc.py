"""`pretrain gc`: what it says, what it removes and when, its JSON, and how it ends when it cannot be sure."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pretrain.leases import Beacon
from pretrain.runs import list_run_ids
from pretrain.store import LocalStore
from tests.cli.test_commands import Answer
from tests.test_gc import filters_of, run
from tests.tiny import write_recipe

OLDER, NEWER = "20260101-1", "20260101-2"
SILENCE_SECONDS = 60.0  # of docs/store.md


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    """A store of two runs, which share their download and differ in their filter."""
    recipe = write_recipe(tmp_path_factory.mktemp("recipe"))
    run(recipe, run_id=OLDER)
    run(recipe, "filter.rules.0.min_long_lines=4", run_id=NEWER)
    return LocalStore(recipe.parent / "store")


@pytest.fixture
def store(made: LocalStore, tmp_path: Path) -> LocalStore:
    """A copy of it."""
    return LocalStore(shutil.copytree(made.root, tmp_path / "store"))


def gc(store: LocalStore, *options: str, keep_runs: int = 1) -> Answer:
    return Answer("gc", "--store", store.url, "--keep-runs", str(keep_runs), "--grace-hours", "0", *options)


def num_bytes(store: LocalStore, *keys: str) -> int:
    sizes = store.list_sizes("")
    return sum(size for name, size in sizes.items() if name.startswith(keys))


def test_without_apply_it_says_what_would_go_and_removes_nothing(store: LocalStore) -> None:
    before, old = store.list_sizes(""), filters_of(store)[OLDER]
    answer = gc(store)
    assert (answer.code, answer.errors) == (0, "")
    header, artifact, record, kept, end = answer.text.splitlines()
    assert header.split() == ["what", "name", "files", "size", "last", "written"]
    kind, name, num_files = artifact.split()[:3]
    assert (kind, num_files) == ("artifact", str(len(store.list_sizes(old))))
    assert name == old
    assert record.split()[:4] == ["run", "record", f"runs/{OLDER}.json", "1"]
    assert kept == "1 runs and 2 artifacts are kept, 0 things are too young, 0 runs are at work"
    size = f"{num_bytes(store, old, f'runs/{OLDER}') / 1000:.1f} kB"
    assert end == f"would remove 1 artifact, 1 run record: {size}; the same command with --apply does it"
    assert store.list_sizes("") == before


def test_by_default_ten_runs_and_a_day_are_kept(store: LocalStore) -> None:
    answer = Answer("gc", "--store", store.url)
    assert answer.text.splitlines()[-1] == "nothing to remove"
    nothing_kept = Answer("gc", "--store", store.url, "--keep-runs", "0")
    assert nothing_kept.text == (
        "0 runs and 0 artifacts are kept, 5 things are too young, 0 runs are at work\nnothing to remove\n"
    )


def test_with_apply_it_goes_and_the_kept_run_stays_whole(store: LocalStore) -> None:
    filters, size = filters_of(store), num_bytes(store, filters_of(store)[OLDER], f"runs/{OLDER}")
    answer = gc(store, "--apply")
    assert (answer.code, answer.errors) == (0, "")
    assert answer.text.splitlines()[-1] == f"removed 1 artifact, 1 run record: {size / 1000:.1f} kB freed"
    assert store.list_sizes(filters[OLDER]) == {}
    assert list_run_ids(store) == [NEWER]
    verified = Answer("verify", "--store", store.url, "--json")
    assert (verified.code, len(store.list_folders("filter"))) == (0, 1)
    assert gc(store, "--apply").text.splitlines()[-1] == "nothing to remove"


def test_a_run_is_kept_by_name_and_has_to_be_there(store: LocalStore) -> None:
    assert gc(store, "--keep", OLDER, "--apply").text.splitlines()[-1] == "nothing to remove"
    unknown = gc(store, "--keep", "yesterday", "--apply")
    assert (unknown.code, unknown.text) == (2, "")
    assert "no run 'yesterday'" in unknown.errors and "Traceback" not in unknown.errors
    assert len(list_run_ids(store)) == 2


@pytest.mark.parametrize("is_applied", [False, True], ids=["dry", "applied"])
def test_its_json(store: LocalStore, is_applied: bool) -> None:
    filters = filters_of(store)
    keys = {OLDER: filters[OLDER], NEWER: filters[NEWER]}
    size, record_size = num_bytes(store, keys[OLDER]), num_bytes(store, f"runs/{OLDER}")
    num_files, download = len(store.list_sizes(keys[OLDER])), store.list_folders("download")[0]
    out = gc(store, "--json", *(["--apply"] if is_applied else [])).out
    ages = [row.pop("age_seconds") for row in out["garbage"] + out["removed"]]
    garbage = [
        {"kind": "artifact", "name": keys[OLDER], "files": num_files, "bytes": size},
        {"kind": "run record", "name": f"runs/{OLDER}.json", "files": 1, "bytes": record_size},
    ]
    assert out == {
        "applied": is_applied,
        "kept_runs": [NEWER],
        "kept_artifacts": sorted([f"download/{download}", keys[NEWER]]),
        "young": 0,
        "runs_at_work": 0,
        "garbage": garbage,
        "removed": garbage if is_applied else [],
        "bytes": size + record_size,
    }
    assert all(0 <= age < 3600 for age in ages)


class Clock:
    """The time by which silence is measured. It passes as always, and at once where someone sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slept: list[float] = []
        self.at_sleep: Callable[[], object] = lambda: None
        monkeypatch.setattr("pretrain.cli.gc.time", self)
        monkeypatch.setattr("pretrain.leases.now_seconds", lambda: time.monotonic() + sum(self.slept))

    def time(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at_sleep()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def lease(store: LocalStore) -> Path:
    """The lease of a run that was not renewed for an hour; it names the older filter."""
    text = '{"id":"killed","run_id":null,"host":"h","pid":1,"beat":1,"artifacts":["%s"]}'
    store.write_bytes("leases/killed.json", (text % filters_of(store)[OLDER]).encode())
    path = store.root / "leases" / "killed.json"
    os.utime(path, (time.time() - 3600,) * 2)
    return path


def test_a_lease_that_looks_dead_is_watched_before_anything_goes(store: LocalStore, clock: Clock, lease: Path) -> None:
    old = filters_of(store)[OLDER]
    assert gc(store).text.splitlines()[-1].startswith("would remove 1 run record")
    assert clock.slept == []  # to look, no one waits
    answer = gc(store, "--apply", "--json")
    assert answer.errors == "1 leases look dead: watching for 60 s whether a run renews them\n"
    assert sum(clock.slept) > SILENCE_SECONDS
    assert {row["name"] for row in answer.out["removed"]} == {old, f"runs/{OLDER}.json", "leases/killed.json"}
    assert not lease.exists()
    gc(store, "--apply")
    assert len(clock.slept) == 1  # none looks dead now


def test_a_lease_that_is_renewed_meanwhile_protects_what_it_names(store: LocalStore, clock: Clock, lease: Path) -> None:
    clock.at_sleep = lambda: lease.write_text(lease.read_text().replace('"beat":1', '"beat":2'))
    answer = gc(store, "--apply", "--json")
    assert [row["name"] for row in answer.out["removed"]] == [f"runs/{OLDER}.json"]
    assert (answer.out["runs_at_work"], lease.exists()) == (1, True)
    assert store.list_sizes(filters_of(store).get(OLDER, "filter")) != {}


def test_a_gc_that_was_stopped_for_too_long_removes_nothing_more(
    store: LocalStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Suspended(Beacon):
        """The machine sleeps between the first removal and the second."""

        num_asked = 0

        def is_overdue(self) -> bool:
            Suspended.num_asked += 1
            if Suspended.num_asked == 2:
                clock.sleep(40)
            return super().is_overdue()

    old = filters_of(store)[OLDER]
    with monkeypatch.context() as patch:
        patch.setattr("pretrain.gc.Beacon", Suspended)
        answer: Any = gc(store, "--apply")
    assert answer.code == 1
    words = "gc was stopped for too long to be sure what is in use; 1 of 2 were removed: run the same command again"
    assert words in answer.errors and "Traceback" not in answer.errors
    assert (store.list_sizes(old), list_run_ids(store)) == ({}, [OLDER, NEWER])
    assert gc(store, "--apply").text.splitlines()[-1].startswith("removed 1 run record")
