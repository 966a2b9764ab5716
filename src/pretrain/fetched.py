"""Copies of remote files on this machine, up to a size, for every process that shares the cache folder.

    <cache>/fetched/<url of the store>/<key>    the copies
    <cache>/fetched/.index.db                   their sizes, when they were last handed out, and to whom
    <cache>/fetched/.holders/<id>               locked by a holder while it lives
    <cache>/fetched/.partial/<id>.*             files that a holder is writing

When the copies are larger than the limit (`PRETRAIN_CACHE_BYTES`, default 50 GiB), the least recently used go first.
One that a living holder was handed, in any process, stays, and so does one handed out a moment ago. A file that is
open or mapped survives its removal in any case; the rules are for a path that is still to be opened. Nothing rests on
the wall clock: it may be set while a file is written, and stand still or go back between two uses.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import sqlite3
import threading
import uuid
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pretrain.clock import now_seconds
from pretrain.errors import UsageError
from pretrain.filehash import cache_dir

DEFAULT_LIMIT_BYTES = 50 << 30
_INDEX_BYTES = 1 << 20  # with less left on the disk, whatever the index fails with, this is why
GRACE_SECONDS = 60.0  # a path may outlive its holder by the time that its reader takes to open it


def limit_bytes() -> int:
    """The limit of the environment, or the default.

    Raises:
        UsageError: `PRETRAIN_CACHE_BYTES` is not a number of bytes.
    """
    value = os.environ.get("PRETRAIN_CACHE_BYTES", "").strip()
    if not value:
        return DEFAULT_LIMIT_BYTES
    if not value.isdigit():
        raise UsageError(f"PRETRAIN_CACHE_BYTES is {value!r}; set it to a number of bytes, or unset it for 50 GiB")
    return int(value)


class FetchedFiles:
    """The copies, as one holder sees them: what it was handed stays until it is collected or its process ends.

    Args:
        grace_seconds: how long a copy stays in any case after it was handed out.
    """

    def __init__(self, *, grace_seconds: float = GRACE_SECONDS) -> None:
        self.folder = cache_dir() / "fetched"
        self._grace_seconds = grace_seconds
        self._limit_bytes = limit_bytes()
        self._holder: str | None = None
        self._lock = threading.Lock()

    def path_of(self, url: str, key: str) -> Path:
        """Where the copy of a key is, or would be."""
        return self.folder / url.replace("://", "/") / key

    def partial(self) -> Path:
        """A fresh path to write a copy to, on the same file system."""
        return self.private_file(self.folder / ".partial", "copy")

    def private_file(self, folder: Path, name: str) -> Path:
        """A fresh path in a folder for a file that stays while this holder does; those of others that are gone go."""
        folder.mkdir(parents=True, exist_ok=True)
        holder = self._own_holder()
        for path in folder.iterdir():
            if not self._is_alive(path.name.partition(".")[0]):
                path.unlink(missing_ok=True)
        return folder / f"{holder}.{uuid.uuid4().hex}-{name}"

    def hold(self, path: Path) -> None:
        """Keeps a copy, there already or to come, for this holder. To be called before the file is looked for."""
        name, holder = self._name(path), self._own_holder()
        with self._index() as index:
            index.execute("INSERT OR IGNORE INTO uses VALUES (?, ?)", (name, holder))
            with contextlib.suppress(FileNotFoundError):
                row = (name, path.stat().st_size, now_seconds())
                index.execute("INSERT OR REPLACE INTO copies VALUES (?, ?, ?)", row)

    def place(self, partial: Path, path: Path) -> None:
        """Makes a file on the same file system the copy at `path`, and removes others while there are too many."""
        with self._index() as index:
            row = (self._name(path), partial.stat().st_size, now_seconds())
            index.execute("INSERT OR REPLACE INTO copies VALUES (?, ?, ?)", row)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(path)
        self._evict()

    def forget(self, path: Path) -> None:
        """Removes a copy, or every copy in a folder."""
        name = self._name(path)
        with self._index() as index:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            below = (name, len(name) + 1, f"{name}/")
            index.execute("DELETE FROM copies WHERE path = ? OR substr(path, 1, ?) = ?", below)

    def _evict(self) -> None:
        with self._index() as index:
            (total,) = index.execute("SELECT coalesce(sum(bytes), 0) FROM copies").fetchone()
            if total <= self._limit_bytes:
                return
            self._drop_dead_holders(index)
            now = now_seconds()
            # A use gives a row a new rowid, the highest. What was used before the machine was started is of the future.
            rows = index.execute(
                "SELECT path, bytes FROM copies WHERE NOT (used > ? AND used <= ?) "
                "AND path NOT IN (SELECT path FROM uses) ORDER BY rowid",
                (now - self._grace_seconds, now),
            ).fetchall()
            for name, num_bytes in rows:
                if total <= self._limit_bytes:
                    break
                (self.folder / name).unlink(missing_ok=True)
                index.execute("DELETE FROM copies WHERE path = ?", (name,))
                total -= num_bytes

    def _drop_dead_holders(self, index: sqlite3.Connection) -> None:
        for (holder,) in index.execute("SELECT DISTINCT holder FROM uses").fetchall():
            if not self._is_alive(holder):
                index.execute("DELETE FROM uses WHERE holder = ?", (holder,))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _own_holder(self) -> str:
        with self._lock:
            if self._holder is None:
                self._holder = uuid.uuid4().hex
                path = self.folder / ".holders" / self._holder
                path.parent.mkdir(parents=True, exist_ok=True)
                unlocked = path.with_suffix(".new")
                file = unlocked.open("w")
                fcntl.flock(file, fcntl.LOCK_EX)
                unlocked.rename(path)  # no one ever sees it without its lock
                weakref.finalize(self, _release, path, file)
                with self._index() as index:
                    self._drop_dead_holders(index)
            return self._holder

    def _is_alive(self, holder: str) -> bool:
        if holder == self._holder:
            return True
        path = self.folder / ".holders" / holder
        try:
            with path.open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        path.unlink(missing_ok=True)
        return False

    @contextlib.contextmanager
    def _index(self) -> Iterator[sqlite3.Connection]:
        """One transaction that no other process interleaves with."""
        try:
            with contextlib.closing(_begin(self.folder / ".index.db")) as connection:
                yield connection
                connection.commit()
        except sqlite3.OperationalError as error:  # the file system's failure, in SQLite's words
            is_full = shutil.disk_usage(self.folder).free < _INDEX_BYTES
            raise OSError(errno.ENOSPC if is_full else errno.EIO, f"{error}: {self.folder}") from error


def _begin(path: Path) -> sqlite3.Connection:
    """A connection in a transaction, begun when those of others have ended.

    The rollback journal, not WAL: a change to WAL, and what the last to close one does, make others fail at once with
    "database is locked" instead of waiting (4 processes of 4 threads: 3 of 960 uses).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE IF NOT EXISTS copies (path TEXT PRIMARY KEY, bytes INTEGER, used REAL)")
        connection.execute("CREATE TABLE IF NOT EXISTS uses (path TEXT, holder TEXT, PRIMARY KEY (path, holder))")
    except sqlite3.OperationalError:
        connection.close()
        raise
    except sqlite3.DatabaseError:  # broken, after a power loss: what it knew can be fetched again
        connection.close()
        path.unlink(missing_ok=True)
        return _begin(path)
    return connection


def _release(path: Path, file: IO[str]) -> None:
    path.unlink(missing_ok=True)
    file.close()
