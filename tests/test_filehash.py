"""The memo of hashes is truthful: it never answers for bytes that are no longer there."""

import hashlib
import os
import sqlite3
from pathlib import Path

import pytest

from pretrain.filehash import FileHashes, sha256_of_file


def test_an_unchanged_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"text")
    hashes = FileHashes(tmp_path / "memo")
    expected = hashlib.sha256(b"text").hexdigest()
    assert hashes.sha256(path, settled_only=False) == expected

    def unreadable(path: Path) -> str:
        raise OSError(f"{path} was read again")

    monkeypatch.setattr("pretrain.filehash.sha256_of_file", unreadable)
    assert FileHashes(tmp_path / "memo").sha256(path) == expected


def test_a_change_that_keeps_size_and_mtime_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"text")
    hashes = FileHashes(tmp_path / "memo")
    hashes.sha256(path, settled_only=False)
    before = path.stat()
    path.write_bytes(b"tExt")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # ctime cannot be set back
    assert hashes.is_changed(path)
    assert hashes.recall(path) is None
    assert hashes.sha256(path) == hashlib.sha256(b"tExt").hexdigest()


def test_a_file_written_a_moment_ago_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"text")
    hashes = FileHashes(tmp_path / "memo")
    hashes.sha256(path)
    assert hashes.recall(path) is None
    os.utime(path, (1, 1))
    hashes.sha256(path)
    assert hashes.recall(path) == hashlib.sha256(b"text").hexdigest()


def test_without_a_writable_folder_the_memo_is_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    path = tmp_path / "a"
    path.write_bytes(b"text")
    hashes = FileHashes(tmp_path / "file" / "memo")
    assert hashes.sha256(path) == sha256_of_file(path)


def test_two_processes_share_one_memo(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"text")
    first, second = FileHashes(tmp_path / "memo"), FileHashes(tmp_path / "memo")
    first.remember(path, "digest")
    assert second.recall(path) == "digest"
    rows = sqlite3.connect(tmp_path / "memo" / "hashes.sqlite").execute("SELECT count(*) FROM hashes")
    assert rows.fetchone() == (1,)
