"""Copies of remote files: the least recently used go first, and never one that someone was handed."""

import gc
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pretrain.errors import UsageError
from pretrain.fetched import FetchedFiles

URL = "s3://bucket/prefix"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PRETRAIN_CACHE_BYTES", "30")
    return tmp_path


def fetch(files: FetchedFiles, name: str, *, is_held: bool = False) -> Path:
    path = files.path_of(URL, name)
    if is_held:
        files.hold(path)
    partial = files.partial()
    partial.write_bytes(b"0123456789")
    files.place(partial, path)
    return path


def names(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "fetched" / "s3").rglob("*") if path.is_file())


def test_the_least_recently_used_goes_first(cache: Path) -> None:
    files = FetchedFiles(grace_seconds=0)
    for name in "abc":
        fetch(files, name)
    user = FetchedFiles(grace_seconds=0)
    user.hold(user.path_of(URL, "a"))
    del user  # it has used `a`, and does so no more
    gc.collect()
    fetch(files, "d")
    assert names(cache) == ["a", "c", "d"]


def test_what_was_handed_out_stays(cache: Path) -> None:
    reader, files = FetchedFiles(grace_seconds=0), FetchedFiles(grace_seconds=0)
    held = [fetch(reader, name, is_held=True) for name in "abcd"]  # more than the limit
    for name in "efgh":
        fetch(files, name)
    assert names(cache) == ["a", "b", "c", "d"]  # nothing else fits
    assert all(path.exists() for path in held)
    del reader
    gc.collect()
    fetch(files, "i")
    assert names(cache) == ["c", "d", "i"]


def test_what_was_handed_out_a_moment_ago_stays(cache: Path) -> None:
    for name in "abcdef":
        fetch(FetchedFiles(grace_seconds=60), name)
    assert names(cache) == list("abcdef")


def _hold(path: Path, is_held: Any, is_over: Any) -> None:
    files = FetchedFiles(grace_seconds=0)
    files.hold(path)
    is_held.set()
    is_over.wait(60)


def test_a_holder_in_another_process_counts_until_it_is_killed(cache: Path) -> None:
    files = FetchedFiles(grace_seconds=0)
    first = fetch(files, "a")
    context = multiprocessing.get_context("spawn")
    is_held, is_over = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(first, is_held, is_over))
    holder.start()
    assert is_held.wait(60)
    for name in "bcde":
        fetch(files, name)
    assert names(cache) == ["a", "d", "e"]
    holder.kill()
    holder.join()
    fetch(files, "f")
    assert names(cache) == ["d", "e", "f"]
    assert len(list((cache / "fetched" / ".holders").iterdir())) == 1  # its own


def test_a_broken_index_is_begun_anew(cache: Path) -> None:
    files = FetchedFiles(grace_seconds=0)
    fetch(files, "a")
    for path in (cache / "fetched").glob(".index.db*"):
        path.write_bytes(b"no database")
    fetch(files, "b", is_held=True)
    assert names(cache) == ["a", "b"]


def fill(number: int) -> None:
    files = FetchedFiles()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: fetch(files, f"{number}-{n}", is_held=True), range(40)))


def test_many_at_once_wait_for_each_other(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRETRAIN_CACHE_BYTES", "3000")
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as processes:
        list(processes.map(fill, range(8)))
    assert len(names(cache)) == 320  # every one in use: the limit gives way


def test_a_folder_is_forgotten_whole(cache: Path) -> None:
    files = FetchedFiles(grace_seconds=0)
    for name in ("x/a", "x/b", "xy"):
        fetch(files, name)
    files.forget(files.path_of(URL, "x"))
    files.forget(files.path_of(URL, "none"))
    assert names(cache) == ["xy"]
    for name in "ab":
        fetch(files, name)
    assert names(cache) == ["a", "b", "xy"]


def test_a_limit_that_is_no_number_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRETRAIN_CACHE_BYTES", "50GB")
    with pytest.raises(UsageError, match="PRETRAIN_CACHE_BYTES is '50GB'"):
        FetchedFiles()
