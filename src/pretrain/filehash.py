"""sha256 of local files, remembered by path, size, mtime, ctime and inode.

One truthful memo serves two ends: a second plan over unchanged sources reads nothing, and a part that was changed
on disk after it was hashed is noticed by `stat` alone. Entries of files changed less than `SETTLE_SECONDS` ago are
not remembered for sources: a later write within the clock's granularity would go unseen (git calls it "racy"). One
that is dated further into the future, by a clock that was wrong, is settled: a write of now would date it back.

The memo lives in `$PRETRAIN_CACHE_DIR` (default `$XDG_CACHE_HOME/pretrain` or `~/.cache/pretrain`); without a writable
place it is kept in memory only.
"""

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

SETTLE_SECONDS = 2.0
_CHUNK_BYTES = 1 << 20


def cache_dir() -> Path:
    """The folder for what may be deleted at any time: the hash memo, files fetched from a remote store."""
    explicit = os.environ.get("PRETRAIN_CACHE_DIR")
    if explicit:
        return Path(explicit)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pretrain"


def torch_cache() -> dict[str, str]:
    """The variable that keeps what torch compiles in our cache folder; its own default is left behind in /tmp."""
    return {"TORCHINDUCTOR_CACHE_DIR": str(cache_dir() / "torchinductor")}


def sha256_of_file(path: Path) -> str:
    """The sha256 of a file's bytes, as 64 hex digits, read in 1 MiB chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def copy_with_sha256(source: Path, target: Path, on_bytes: Callable[[int], None]) -> str:
    """Copies a file, read once; returns the sha256 of the bytes that were copied, and tells how many piece by piece."""
    digest = hashlib.sha256()
    with source.open("rb") as read, target.open("wb") as written:
        while chunk := read.read(_CHUNK_BYTES):
            digest.update(chunk)
            written.write(chunk)
            on_bytes(len(chunk))
    return digest.hexdigest()


class HashedFile:
    """A new file that is written from start to end, its sha256 taken of the bytes on their way.

    They are hashed while the processor still has them in its cache, and are not read again.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=_CHUNK_BYTES)
        self._digest = hashlib.sha256()
        self._num_bytes = 0

    def __enter__(self) -> "HashedFile":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def write(self, data: "bytes | memoryview") -> int:
        """Appends all of `data`, and returns its number of bytes."""
        self._digest.update(data)
        num_bytes = self._file.write(data)
        self._num_bytes += num_bytes
        return num_bytes

    def tell(self) -> int:
        """Bytes written so far."""
        return self._num_bytes

    def sha256(self) -> str:
        """The sha256 of what was written so far, as 64 hex digits."""
        return self._digest.hexdigest()

    def flush(self) -> None:
        """Hands what is buffered to the operating system."""
        self._file.flush()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._file.closed

    def writable(self) -> bool:
        """Whether `write` may be called."""
        return not self.closed

    def readable(self) -> bool:
        """It cannot be read."""
        return False

    def seekable(self) -> bool:
        """It is written from start to end."""
        return False

    def close(self) -> None:
        """Writes what is buffered; once is enough."""
        self._file.close()


class FileHashes:
    """The memo. Cheap to open; one instance a process, safe for several processes at once."""

    def __init__(self, folder: Path | None = None) -> None:
        self._connection = _connect(folder or cache_dir())

    def sha256(self, path: Path, *, settled_only: bool = True) -> str:
        """The sha256 of `path`, from the memo where its stat is unchanged."""
        known = self.recall(path)
        if known is not None:
            return known
        before = path.stat()
        digest = sha256_of_file(path)
        self.remember(path, digest, before, settled_only=settled_only)
        return digest

    def recall(self, path: Path) -> str | None:
        """The remembered sha256 of `path`, or None when it was never hashed or has changed since."""
        row = self._row(path)
        return row[1] if row is not None and row[0] == _identity(path.stat()) else None

    def is_changed(self, path: Path) -> bool:
        """Whether `path` was hashed once and its stat differs now."""
        row = self._row(path)
        return row is not None and row[0] != _identity(path.stat())

    def remember(
        self, path: Path, digest: str, stat: os.stat_result | None = None, *, settled_only: bool = False
    ) -> None:
        """Records the sha256 of `path` as it is now (or as it was at `stat`)."""
        stat = stat or path.stat()
        if settled_only and abs(time.time() - stat.st_mtime) < SETTLE_SECONDS:
            return
        try:
            with self._connection:
                self._connection.execute(
                    "INSERT OR REPLACE INTO hashes VALUES (?, ?, ?)",
                    (os.fsencode(path.resolve()), _identity(stat), digest),
                )
        except sqlite3.DatabaseError:  # read-only, busy or broken memo: only speed is lost
            return

    def _row(self, path: Path) -> tuple[str, str] | None:
        try:
            row = self._connection.execute(
                "SELECT identity, sha256 FROM hashes WHERE path = ?", (os.fsencode(path.resolve()),)
            ).fetchone()
        except sqlite3.DatabaseError:
            return None
        return (str(row[0]), str(row[1])) if row else None


def _identity(stat: os.stat_result) -> str:
    return f"{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}:{stat.st_ino}"


def _connect(folder: Path) -> sqlite3.Connection:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        connection = _open(folder / "hashes.sqlite")
    except (OSError, sqlite3.Error):
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        _create(connection)
    return connection


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")
        _create(connection)
        connection.execute("SELECT count(*) FROM hashes").fetchone()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:  # broken, after a power loss: what it knew can be computed again
        connection.close()
        path.unlink()
        return _open(path)
    return connection


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS hashes (path BLOB PRIMARY KEY, identity TEXT, sha256 TEXT)")
