"""Stores: whole writes, listings without temporary files, and errors that say what to do."""

import errno
import multiprocessing
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pretrain.errors import StoreError, StoreFullError, StorePermissionError
from pretrain.remote_store import RemoteStore
from pretrain.store import LocalStore, Store, open_store


class FaultyFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """A remote file system that answers every write with the error number in its url: `faulty://28/...`."""

    protocol = "faulty"

    def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
        number = int(path.strip("/").split("/")[0])
        raise OSError(number, os.strerror(number))


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "local":
        yield open_store(str(tmp_path / "store"))
    else:
        yield open_store(f"memory://{uuid.uuid4().hex}/store")


def test_what_is_written_is_read(store: Store, tmp_path: Path) -> None:
    store.write_bytes("filter/abc/manifest.json", b"{}")
    path = store.scratch_file("filter/abc/data/part-00000.parquet")
    path.write_bytes(b"rows")
    store.put_file(path, "filter/abc/data/part-00000.parquet")
    assert not path.exists()
    assert store.read_bytes("filter/abc/manifest.json") == b"{}"
    assert store.local_file("filter/abc/data/part-00000.parquet").read_bytes() == b"rows"
    assert store.list_sizes("filter/abc") == {
        "filter/abc/manifest.json": 2,
        "filter/abc/data/part-00000.parquet": 4,
    }
    assert store.list_folders("filter") == ["abc"]


def test_a_write_replaces_and_a_delete_may_find_nothing(store: Store) -> None:
    store.write_bytes("a/b", b"1")
    store.write_bytes("a/b", b"22")
    assert store.read_bytes("a/b") == b"22"
    store.delete("a")
    store.delete("a")
    assert store.list_sizes("a") == {}
    assert store.list_folders("a") == []
    with pytest.raises(FileNotFoundError):
        store.read_bytes("a/b")


def test_many_are_read_at_once(store: Store) -> None:
    keys = [f"a/{index}.json" for index in range(40)]
    for key in keys:
        store.write_bytes(key, key.encode())
    assert store.read_many([*keys, "a/none.json"]) == {key: key.encode() for key in keys}


@pytest.mark.parametrize("number", [None, errno.EPERM, errno.EOPNOTSUPP])
def test_what_is_there_is_not_created_again_also_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number or 0))

    if number is not None:
        monkeypatch.setattr(os, "link", refuse)
    store = LocalStore(tmp_path)
    assert store.create_bytes("filter/abc/manifest.json", b"first")
    assert not store.create_bytes("filter/abc/manifest.json", b"second")
    assert store.create_bytes("filter/abc/manifest.json", b"first")  # the same is as good as its own
    assert store.read_bytes("filter/abc/manifest.json") == b"first"
    assert list((tmp_path / ".tmp").iterdir()) == []


def test_an_unfinished_write_is_invisible(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.scratch_file("filter/abc/data/part-00000.parquet").write_bytes(b"half of it")
    assert store.list_sizes("filter") == {}
    assert store.list_folders("filter") == []


@pytest.mark.parametrize(
    ("number", "expected", "words"),
    [
        (errno.ENOSPC, StoreFullError, "no space left"),
        (errno.EDQUOT, StoreFullError, "no space left"),
        (errno.EACCES, StorePermissionError, "permission denied"),
        (errno.EIO, StoreError, "run the same command to resume"),
    ],
)
def test_a_failing_store_says_what_to_do(number: int, expected: type[StoreError], words: str) -> None:
    fsspec.register_implementation("faulty", FaultyFileSystem, clobber=True)
    with pytest.raises(expected, match=words) as raised:
        RemoteStore(f"faulty://{number}/store").write_bytes("key", b"data")
    assert type(raised.value) is expected


def test_a_failed_local_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    (tmp_path / "a").write_text("a file where a folder has to be")
    with pytest.raises(StoreError):
        store.write_bytes("a/b", b"1")
    assert list((tmp_path / ".tmp").iterdir()) == []


def _hold(root: Path, seconds: float) -> None:
    with LocalStore(root).exclusive("filter/abc"):
        (root / "held").touch()
        time.sleep(seconds)


def test_the_lock_is_waited_for_and_ends_with_its_holder(tmp_path: Path) -> None:
    holder = multiprocessing.get_context("spawn").Process(target=_hold, args=(tmp_path, 60.0))
    holder.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    holder.kill()
    with LocalStore(tmp_path).exclusive("filter/abc"):
        holder.join()
    assert holder.exitcode == -9
