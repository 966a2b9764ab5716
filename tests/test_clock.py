"""A clock that is set while a store is used, or was wrong when its files were written: nothing is lost or trusted."""

import itertools
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pretrain.clock import now_seconds
from pretrain.fetched import FetchedFiles
from pretrain.filehash import FileHashes, sha256_of_file
from pretrain.remote_store import RemoteStore
from tests.content import content_of
from tests.tiny import write_recipe

URL = "s3://bucket/prefix"
DAY_SECONDS = 86400.0


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PRETRAIN_CACHE_BYTES", "30")
    return tmp_path / "cache"


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the wall clock of this process by so many seconds."""
    true_time = time.time

    def set_by(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: true_time() + seconds)

    return set_by


def fetch(files: FetchedFiles, name: str) -> Path:
    path, partial = files.path_of(URL, name), files.partial()
    partial.write_bytes(b"0123456789")
    files.place(partial, path)
    return path


def names(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "fetched" / "s3").rglob("*") if path.is_file())


@pytest.mark.parametrize("dated", [-1.0, 0.0, 1.0, 4e9], ids=["1969", "1970", "1970 and a second", "2096"])
def test_a_file_of_any_date_is_read_once_and_its_change_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dated: float
) -> None:
    path, hashes = tmp_path / "a", FileHashes(tmp_path / "memo")
    path.write_bytes(b"text")
    os.utime(path, (dated, dated))
    first = hashes.sha256(path)

    def unreadable(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    with monkeypatch.context() as patch:
        patch.setattr("pretrain.filehash.sha256_of_file", unreadable)
        assert hashes.sha256(path) == first
    time.sleep(0.02)  # a change within the granularity of the file system's clock cannot be seen by anyone
    path.write_bytes(b"tExt")
    os.utime(path, (dated, dated))
    assert hashes.sha256(path) == sha256_of_file(path) != first


@pytest.mark.parametrize("seconds", [-3 * DAY_SECONDS, 3 * DAY_SECONDS])
def test_the_least_recently_used_copy_goes_first_whatever_the_clock_says(
    cache: Path, set_clock: Callable[[float], None], seconds: float
) -> None:
    files = FetchedFiles(grace_seconds=0)
    for name in "abc":
        fetch(files, name)
    set_clock(seconds)
    fetch(files, "d")
    assert names(cache) == ["b", "c", "d"]
    set_clock(0)
    fetch(files, "e")
    assert names(cache) == ["c", "d", "e"]


def test_a_copy_of_this_moment_stays_when_the_clock_is_set_ahead(
    cache: Path, set_clock: Callable[[float], None]
) -> None:
    for name in "abc":
        fetch(FetchedFiles(), name)
    set_clock(3 * DAY_SECONDS)
    fetch(FetchedFiles(), "d")
    assert names(cache) == ["a", "b", "c", "d"]


def test_copies_of_before_a_restart_of_the_machine_may_go(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        fetch(FetchedFiles(), name)
    began = now_seconds()
    monkeypatch.setattr("pretrain.fetched.now_seconds", lambda: now_seconds() - began)  # it counts from the start
    fetch(FetchedFiles(), "d")
    assert names(cache) == ["b", "c", "d"]


def _write_for_ever(url: str, paths: Any) -> None:
    store, files = RemoteStore(url), FetchedFiles()
    scratch, partial = store.scratch_file("a/part"), files.partial()
    for path in (scratch, partial):
        path.write_bytes(b"half")
    paths.put((scratch, partial))
    time.sleep(600)


def test_a_file_that_a_living_process_writes_is_never_taken_for_abandoned(
    cache: Path, set_clock: Callable[[float], None]
) -> None:
    context = multiprocessing.get_context("spawn")
    paths = context.Queue()
    writer = context.Process(target=_write_for_ever, args=("memory://clock/store", paths))
    writer.start()
    try:
        written = paths.get(timeout=60)
        set_clock(3 * DAY_SECONDS)
        _look_for_abandoned()
        assert [path.read_bytes() for path in written] == [b"half", b"half"]
    finally:
        writer.kill()
        writer.join()
    set_clock(-3 * DAY_SECONDS)
    _look_for_abandoned()
    assert [path.exists() for path in written] == [False, False]


def _look_for_abandoned() -> None:
    RemoteStore("memory://clock/store").scratch_file("a/other")
    FetchedFiles().partial()


JUMPING_CLOCK = """
import os, time
_true_time = time.time
def _jumped():
    try:
        with open(os.environ["OFFSET"]) as file:
            return _true_time() + float(file.read() or 0)
    except (OSError, ValueError):
        return _true_time()
time.time = _jumped
"""


@pytest.mark.slow
def test_a_clock_that_jumps_during_a_run_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(JUMPING_CLOCK)
    recipe, offset = write_recipe(tmp_path), tmp_path / "offset"
    expected = driven(recipe, tmp_path / "still")
    is_over = threading.Event()

    def jump() -> None:
        seconds = itertools.cycle([3 * DAY_SECONDS, -DAY_SECONDS, 3600.0, -1e9, 0.0])
        while not is_over.wait(0.2):
            offset.write_text(str(next(seconds)))

    thread = threading.Thread(target=jump)
    thread.start()
    environment = {"PYTHONPATH": str(tmp_path), "OFFSET": str(offset)}
    try:
        assert driven(recipe, tmp_path / "jumping", **environment) == expected
    finally:
        is_over.set()
        thread.join()
    for dated in (1.0, 4e9):
        for path in (tmp_path / "jumping").rglob("*"):
            os.utime(path, (dated, dated))
        run = driver(recipe, tmp_path / "jumping", **environment)
        assert (run.returncode, run.stderr.count(" cached"), run.stderr.count(" built")) == (0, 9, 0), run.stderr
    assert content_of(tmp_path / "jumping") == expected


def driver(recipe: Path, store: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.chaos.driver", str(recipe), str(store), "--until", "train"]
    root = Path(__file__).parents[1]
    path = os.pathsep.join([environment.pop("PYTHONPATH", ""), str(root)])
    environment = {**os.environ, **environment, "PYTHONPATH": path}
    return subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)


def driven(recipe: Path, store: Path, **environment: str) -> dict[str, Any]:
    run = driver(recipe, store, **environment)
    assert run.returncode == 0, run.stderr
    return content_of(store)
