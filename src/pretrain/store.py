"""Where artifacts live: a local folder or any fsspec URL (`s3://bucket/prefix`).

Keys are relative POSIX paths. A write is all or nothing: locally a temporary file, flushed to disk, then renamed;
remotely (`pretrain.remote_store`) one whole put. Nothing rests on a remote rename, on atomic listing or on
conditional writes.
"""

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from fsspec.core import split_protocol

from pretrain.errors import PretrainError, StoreError, StoreFullError, StorePermissionError, UsageError
from pretrain.filehash import copy_with_sha256, sha256_of_file
from pretrain.redaction import holds_secret, without_secrets

logger = logging.getLogger(__name__)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_CLIENT_LIBRARIES = {"aiohttp"}  # its errors are no OSErrors
_READING = {"reading", "fetching", "listing"}
# How a file system says that it has no hard links.
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_UNFINISHED = ".tmp"
_LOCKS = ".locks"
_HIDDEN = {_UNFINISHED, _LOCKS}


class Entry(NamedTuple):
    """One file of a listing: its size, and when it was written by the store's own clock (Unix time), where known."""

    bytes: int
    modified: float | None


class Store(Protocol):
    """What the engine needs of a store. Instances are small, can be pickled, and are equal at the same url."""

    url: str
    is_local: bool

    def __hash__(self) -> int: ...

    def read_bytes(self, key: str) -> bytes:
        """The bytes of `key`. Raises FileNotFoundError."""

    def read_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The bytes of every key that is there, read at once where that is faster.

        What cannot be read as it was written is left out, as if it were not there.
        """

    def write_bytes(self, key: str, data: bytes) -> None:
        """Puts `data` whole under `key`, replacing what was there."""

    def create_bytes(self, key: str, data: bytes) -> bool:
        """Puts `data` whole under `key` unless something is there; returns whether `data` is what is there now.

        Atomic on a local file system, and in S3 as far as the server honours If-None-Match. One that does not
        replaces what was there: nothing may rest on this for being right, only for not doing work twice.
        """

    def put_file(self, path: Path, key: str, *, sha256: str | None = None) -> None:
        """Moves the local file `path` whole to `key`.

        Args:
            path: should come from `scratch_file`.
            key: the key.
            sha256: of its bytes, where it is known. A remote store then keeps the file in the cache.
        """

    def scratch_file(self, key: str) -> Path:
        """A fresh local path to write the file that will become `key`."""

    def local_file(self, key: str, *, fresh: bool = False) -> Path:
        """A local path with the bytes of `key`: the file itself, or a copy in the cache.

        Args:
            key: the key.
            fresh: fetch a copy anew although there is one.

        Raises:
            FileNotFoundError: there is no such key.
            DamagedArtifactError: a remote file is not what was put. It is removed, to be built again, unless `fresh`.
        """

    def read_range(self, key: str, first: int, num_bytes: int) -> bytes:
        """`num_bytes` bytes of `key` from `first` on, fewer at its end. Raises FileNotFoundError."""

    def digest(self, key: str) -> tuple[str, int]:
        """The sha256 and size of the bytes of `key`, all of them read now and no copy kept.

        Raises:
            FileNotFoundError: there is no such key.
            DamagedArtifactError: a remote file is not what was put.
        """

    def copy_to(self, key: str, path: Path, on_bytes: Callable[[int], None]) -> str:
        """Writes the bytes of `key` to the local file `path`, and returns their sha256. No other copy is kept.

        Args:
            key: the key.
            path: the file to write.
            on_bytes: told the bytes that were written, piece by piece where they come so.

        Raises:
            FileNotFoundError: there is no such key.
            DamagedArtifactError: a remote file is not what was put.
        """

    def recorded_sha256(self, key: str) -> str | None:
        """The sha256 that a remote store keeps beside the bytes of `key`; None where it keeps none. Reads no bytes."""

    def list_sizes(self, prefix: str) -> dict[str, int]:
        """Size in bytes of every key under `prefix` (a folder), temporary files left out."""

    def list_entries(self, prefix: str) -> dict[str, Entry]:
        """As `list_sizes`, with the time of each file."""

    def list_folders(self, prefix: str) -> list[str]:
        """Names of the folders right under `prefix`, sorted."""

    def list_unfinished(self) -> dict[str, Entry]:
        """What writes that were cut short left behind, which no listing and no reader sees: names, sizes, times."""

    def delete_unfinished(self, name: str) -> None:
        """Removes one of `list_unfinished`; nothing there is no error."""

    def delete(self, key: str) -> None:
        """Removes a key or everything under a folder; nothing there is no error."""

    def exclusive(self, key: str) -> contextlib.AbstractContextManager[None]:
        """Held while one artifact is built, so that two runs on one machine do not do the work twice.

        Advisory: two machines with one remote store both build, and content addressing makes that harmless.
        """


def place_once(path: Path, target: Path) -> bool:
    """Gives a file on the same file system a second name unless something has it; returns whether it did.

    Where the file system knows no hard links (FAT, some network and FUSE mounts), the file is renamed after a look: of
    two processes in the same instant the last one wins, where the first would.
    """
    try:
        os.link(path, target)  # unlike a rename, it fails where something is
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if target.exists():
            return False
        path.replace(target)
    return True


def open_store(url: str) -> Store:
    """The store at a local path or fsspec URL. Creates nothing yet.

    Raises:
        UsageError: the URL holds a secret, or is of a kind that no library here reads.
    """
    if holds_secret(url):
        raise UsageError(f"the store's URL {without_secrets(url)} holds a secret: put it into the environment")
    protocol, path = split_protocol(url)
    if protocol in (None, "file", "local"):
        return LocalStore(Path(path))
    from pretrain.remote_store import RemoteStore

    return RemoteStore(url)


@contextlib.contextmanager
def storage_errors(action: str, url: str) -> Iterator[None]:
    """Turns operating-system errors into store errors that say what to do.

    FileNotFoundError passes where something is read: that nothing is there is an answer.
    """
    try:
        with space_errors(action, url):
            yield
    except Exception as error:
        if isinstance(error, FileNotFoundError) and action in _READING:
            raise
        if not isinstance(error, OSError) and type(error).__module__.partition(".")[0] not in _CLIENT_LIBRARIES:
            raise
        if isinstance(error, PermissionError) or getattr(error, "errno", None) in _FORBIDDEN:
            raise StorePermissionError(
                f"permission denied while {action} {url}: {error}; check its owner, mode or credentials"
            ) from error
        raise StoreError(f"the store failed while {action} {url}: {error}; run the same command to resume") from error


@contextlib.contextmanager
def space_errors(action: str, url: str) -> Iterator[None]:
    """Turns what a write raises when no space is left into StoreFullError; everything else passes.

    Libraries in Rust (safetensors, tokenizers, polars) keep the system's words and lose its error number.
    """
    try:
        yield
    except PretrainError:
        raise
    except Exception as error:
        if (isinstance(error, OSError) and error.errno in _FULL) or os.strerror(errno.ENOSPC) in str(error):
            raise StoreFullError(
                f"no space left while {action} {url} ({error}): free some space, then run the same command to resume"
            ) from error
        raise


class LocalStore:
    """A folder on a file system with atomic rename."""

    is_local = True

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.url = str(self.root)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalStore) and other.url == self.url

    def __hash__(self) -> int:
        return hash(self.url)

    def read_bytes(self, key: str) -> bytes:
        with storage_errors("reading", f"{self.url}/{key}"):
            return (self.root / key).read_bytes()

    def read_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        found = {}
        for key in keys:
            with contextlib.suppress(FileNotFoundError):
                found[key] = self.read_bytes(key)
        return found

    def write_bytes(self, key: str, data: bytes) -> None:
        path = self.scratch_file(key)
        with storage_errors("writing", f"{self.url}/{key}"), removed_on_error(path):
            path.write_bytes(data)
        self.put_file(path, key)

    def put_file(self, path: Path, key: str, *, sha256: str | None = None) -> None:
        target = self.root / key
        with storage_errors("writing", str(target)), removed_on_error(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            # Who may use the folder may use the file: safetensors writes files that only their owner can read.
            path.chmod(target.parent.stat().st_mode & 0o666)
            _flush(path)
            path.replace(target)
            _flush(target.parent)

    def create_bytes(self, key: str, data: bytes) -> bool:
        path, target = self.scratch_file(key), self.root / key
        with storage_errors("writing", str(target)):
            try:
                path.write_bytes(data)
                _flush(path)
                target.parent.mkdir(parents=True, exist_ok=True)
                if not place_once(path, target):
                    return target.read_bytes() == data
                _flush(target.parent)
            finally:
                path.unlink(missing_ok=True)
        return True

    def scratch_file(self, key: str) -> Path:
        folder = self.root / _UNFINISHED  # on the file system of the store, so that the rename is atomic
        with storage_errors("writing", str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{uuid.uuid4().hex}-{Path(key).name}"

    def local_file(self, key: str, *, fresh: bool = False) -> Path:
        return self.root / key

    def read_range(self, key: str, first: int, num_bytes: int) -> bytes:
        with storage_errors("reading", f"{self.url}/{key}"), (self.root / key).open("rb") as file:
            return os.pread(file.fileno(), num_bytes, first)

    def digest(self, key: str) -> tuple[str, int]:
        path = self.root / key
        with storage_errors("reading", str(path)):
            return sha256_of_file(path), path.stat().st_size

    def copy_to(self, key: str, path: Path, on_bytes: Callable[[int], None]) -> str:
        with storage_errors("reading", f"{self.url}/{key}"), space_errors("writing", str(path)):
            return copy_with_sha256(self.root / key, path, on_bytes)

    def recorded_sha256(self, key: str) -> str | None:
        return None

    def list_sizes(self, prefix: str) -> dict[str, int]:
        return {key: entry.bytes for key, entry in self.list_entries(prefix).items()}

    def list_entries(self, prefix: str) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        top = str(self.root / prefix)
        with storage_errors("listing", f"{self.url}/{prefix}"):
            for folder, folders, names in os.walk(top, onerror=_raise_unless_missing):
                folders[:] = [name for name in folders if name not in _HIDDEN or folder != self.url]
                start = os.path.relpath(folder, self.root)
                for name in names:
                    with contextlib.suppress(FileNotFoundError):  # removed by another run meanwhile
                        found = os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118  10,000 parts at once
                        entries[f"{start}/{name}" if start != "." else name] = Entry(found.st_size, found.st_mtime)
        return entries

    def list_folders(self, prefix: str) -> list[str]:
        folder = self.root / prefix
        with storage_errors("listing", str(folder)):
            if not folder.is_dir():
                return []
            return sorted(path.name for path in folder.iterdir() if path.is_dir())

    def list_unfinished(self) -> dict[str, Entry]:
        entries = {}
        with storage_errors("listing", f"{self.url}/{_UNFINISHED}"), contextlib.suppress(FileNotFoundError):
            for path in (self.root / _UNFINISHED).iterdir():
                with contextlib.suppress(FileNotFoundError):
                    found = path.stat()
                    # what a writer does with a file, closing and renaming included, moves its ctime
                    entries[f"{_UNFINISHED}/{path.name}"] = Entry(found.st_size, max(found.st_mtime, found.st_ctime))
        return entries

    def delete_unfinished(self, name: str) -> None:
        self.delete(name)

    def delete(self, key: str) -> None:
        path = self.root / key
        with storage_errors("removing", str(path)), contextlib.suppress(FileNotFoundError):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def exclusive(self, key: str) -> contextlib.AbstractContextManager[None]:
        return locked(self.root / _LOCKS / key.replace("/", "-"))


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock of a file, made if need be; it ends with the process that holds it."""
    with storage_errors("locking", str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.warning("waiting for another run that holds %s", path.name)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def removed_on_error(path: Path) -> Iterator[None]:
    """Removes a file when the block fails."""
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
