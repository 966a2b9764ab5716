"""A store on another machine: S3 and its kin, or any file system of fsspec that puts an object whole.

Files are read through the cache of this machine (`pretrain.fetched`): fetched once, and what this machine wrote is
kept there as if it had been fetched. A copy counts only while its sha256 is remembered for its present stat.
"""

import contextlib
import datetime
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import fsspec
from fsspec.core import split_protocol

from pretrain.errors import DamagedArtifactError, StorePermissionError, UsageError
from pretrain.fetched import FetchedFiles
from pretrain.filehash import FileHashes, cache_dir, sha256_of_file
from pretrain.store import Entry, locked, removed_on_error, space_errors, storage_errors

_NUM_READS_AT_ONCE = 16
_S3 = {"s3", "s3a"}


class Objects(Protocol):
    """What a remote store is made of. Keys are relative to its url. A read of what is not there: FileNotFoundError."""

    has_answered: bool

    def read(self, key: str) -> bytes:
        """The bytes of an object."""

    def read_range(self, key: str, first: int, num_bytes: int) -> bytes:
        """Some bytes of an object."""

    def write(self, key: str, data: bytes) -> None:
        """Puts an object whole."""

    def put(self, path: Path, key: str, sha256: str | None) -> None:
        """Puts a local file whole."""

    def fetch(self, key: str, path: Path) -> str:
        """Writes an object to a local file; returns the sha256 of its bytes."""

    def recorded_sha256(self, key: str) -> str | None:
        """The sha256 that is kept beside an object, if one is."""

    def create(self, key: str, data: bytes) -> bool:
        """Puts an object whole unless one is there, as far as the server can; whether `data` is there now."""

    def entries(self, prefix: str) -> dict[str, Entry]:
        """Size and time of every object under a folder."""

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders right under a folder, sorted."""

    def delete(self, key: str) -> None:
        """Removes an object and everything under it as a folder; nothing there is no error."""

    def unfinished(self) -> dict[str, Entry]:
        """Uploads that were begun and not ended, by a name that `abort` takes."""

    def abort(self, name: str) -> None:
        """Ends an unfinished upload and frees its space; nothing there is no error."""


class RemoteStore:
    """Objects under a url, and their copies on this machine. What it handed out stays there while it lives."""

    is_local = False

    def __init__(self, url: str) -> None:
        protocol, _, place = url.partition("://")
        self.url = f"{protocol}://{place.rstrip('/')}"
        self._has_answered = False
        self._objects: Objects | None = None
        self._fetched: FetchedFiles | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemoteStore) and other.url == self.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __getstate__(self) -> dict[str, Any]:
        # Connections do not cross a process boundary; that the server was there once does, and gives it more patience.
        has_answered = self._objects.has_answered if self._objects is not None else self._has_answered
        return {"url": self.url, "_has_answered": has_answered, "_objects": None, "_fetched": None}

    def read_bytes(self, key: str) -> bytes:
        with storage_errors("reading", f"{self.url}/{key}"):
            return self._open().read(key)

    def read_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        def read(key: str) -> bytes | None:
            try:
                return self.read_bytes(key)
            except (FileNotFoundError, DamagedArtifactError):
                return None

        names = list(keys)
        with ThreadPoolExecutor(_NUM_READS_AT_ONCE) as threads:
            try:
                found = dict(zip(names, threads.map(read, names), strict=True))
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        return {key: data for key, data in found.items() if data is not None}

    def write_bytes(self, key: str, data: bytes) -> None:
        with storage_errors("writing", f"{self.url}/{key}"):
            self._open().write(key, data)

    def create_bytes(self, key: str, data: bytes) -> bool:
        with storage_errors("writing", f"{self.url}/{key}"):
            return self._open().create(key, data)

    def put_file(self, path: Path, key: str, *, sha256: str | None = None) -> None:
        with storage_errors("writing", f"{self.url}/{key}"):
            self._open().put(path, key, sha256)
            if sha256 is None:
                path.unlink()
            else:
                with contextlib.suppress(OSError):  # the cache is full: it can be fetched again
                    self._keep(path, key, sha256)
                path.unlink(missing_ok=True)

    def scratch_file(self, key: str) -> Path:
        folder = cache_dir() / "scratch"
        with storage_errors("writing", str(folder)):
            return self._copies().private_file(folder, Path(key).name)

    def local_file(self, key: str, *, fresh: bool = False) -> Path:
        path = self._copies().path_of(self.url, key)
        with storage_errors("fetching", f"{self.url}/{key}"):
            self._copies().hold(path)
            if not fresh and path.exists() and FileHashes().recall(path) is not None:
                return path
            partial = self._copies().partial()
            into_cache = space_errors(f"fetching {self.url}/{key} into the cache", str(cache_dir()))
            with removed_on_error(partial), into_cache:
                try:
                    digest = self._open().fetch(key, partial)
                except DamagedArtifactError:
                    if not fresh:
                        with contextlib.suppress(StorePermissionError):  # who may only read is told all the same
                            self.delete(key)  # a listing shows sizes alone: only a missing file is sure to be built
                    raise
                self._copies().place(partial, path)
            FileHashes().remember(path, digest)
        return path

    def read_range(self, key: str, first: int, num_bytes: int) -> bytes:
        with storage_errors("reading", f"{self.url}/{key}"):
            return self._open().read_range(key, first, num_bytes)

    def digest(self, key: str) -> tuple[str, int]:
        partial = self._copies().partial()
        try:
            with storage_errors("fetching", f"{self.url}/{key}"):
                return self._open().fetch(key, partial), partial.stat().st_size
        finally:
            partial.unlink(missing_ok=True)

    def copy_to(self, key: str, path: Path, on_bytes: Callable[[int], None]) -> str:
        with storage_errors("fetching", f"{self.url}/{key}"), space_errors("writing", str(path)):
            digest = self._open().fetch(key, path)
        on_bytes(path.stat().st_size)
        return digest

    def recorded_sha256(self, key: str) -> str | None:
        with storage_errors("reading", f"{self.url}/{key}"):
            return self._open().recorded_sha256(key)

    def list_sizes(self, prefix: str) -> dict[str, int]:
        return {key: entry.bytes for key, entry in self.list_entries(prefix).items()}

    def list_entries(self, prefix: str) -> dict[str, Entry]:
        with storage_errors("listing", f"{self.url}/{prefix}"):
            return self._open().entries(prefix)

    def list_unfinished(self) -> dict[str, Entry]:
        with storage_errors("listing", self.url):
            return self._open().unfinished()

    def delete_unfinished(self, name: str) -> None:
        with storage_errors("removing", self.url):
            self._open().abort(name)

    def list_folders(self, prefix: str) -> list[str]:
        with storage_errors("listing", f"{self.url}/{prefix}"):
            return self._open().folders(prefix)

    def delete(self, key: str) -> None:
        with storage_errors("removing", f"{self.url}/{key}"):
            self._open().delete(key)
            self._copies().forget(self._copies().path_of(self.url, key))

    def exclusive(self, key: str) -> contextlib.AbstractContextManager[None]:
        folder = cache_dir() / "locks" / self.url.replace("://", "/")
        return locked(folder / key.replace("/", "-"))

    def _keep(self, path: Path, key: str, sha256: str) -> None:
        copy, partial = self._copies().path_of(self.url, key), self._copies().partial()
        with removed_on_error(partial):
            shutil.move(path, partial)
            self._copies().place(partial, copy)
        with contextlib.suppress(FileNotFoundError):  # removed again, for space
            FileHashes().remember(copy, sha256)

    def _copies(self) -> FetchedFiles:
        if self._fetched is None:
            with storage_errors("opening", str(cache_dir())):
                self._fetched = FetchedFiles()
        return self._fetched

    def _open(self) -> Objects:
        if self._objects is None:
            self._objects = self._open_objects()
            self._objects.has_answered = self._objects.has_answered or self._has_answered
        return self._objects

    def _open_objects(self) -> Objects:
        protocol = split_protocol(self.url)[0]
        try:
            if protocol in _S3:
                from pretrain.s3_client import open_objects

                return open_objects(self.url)
            with storage_errors("opening", self.url):
                return FilesystemObjects(self.url)
        except (ValueError, ImportError) as error:  # no such protocol, or its library is not installed
            raise UsageError(f"cannot open a store at {protocol}://...: {error}") from error


class FilesystemObjects:
    """The objects under a url of fsspec."""

    def __init__(self, url: str) -> None:
        self.has_answered = False
        self._filesystem: Any = fsspec.core.url_to_fs(url, use_listings_cache=False)[0]
        self._root = split_protocol(url)[1].rstrip("/")

    def read(self, key: str) -> bytes:
        """The bytes of an object."""
        return bytes(self._filesystem.cat_file(f"{self._root}/{key}"))

    def read_range(self, key: str, first: int, num_bytes: int) -> bytes:
        """Some bytes of an object."""
        return bytes(self._filesystem.cat_file(f"{self._root}/{key}", start=first, end=first + num_bytes))

    def write(self, key: str, data: bytes) -> None:
        """Puts an object whole."""
        self._filesystem.pipe_file(f"{self._root}/{key}", data)

    def put(self, path: Path, key: str, sha256: str | None) -> None:
        """Puts a local file whole."""
        self._filesystem.put_file(str(path), f"{self._root}/{key}")

    def fetch(self, key: str, path: Path) -> str:
        """Writes an object to a local file; returns the sha256 of its bytes."""
        self._filesystem.get_file(f"{self._root}/{key}", str(path))
        return sha256_of_file(path)

    def recorded_sha256(self, key: str) -> str | None:
        """None: fsspec has no metadata that every file system keeps."""
        return None

    def create(self, key: str, data: bytes) -> bool:
        """Puts an object where none is; the check comes before the write."""
        try:
            return self.read(key) == data
        except FileNotFoundError:
            self.write(key, data)
            return True

    def entries(self, prefix: str) -> dict[str, Entry]:
        """Size and time of every object under a folder."""
        self._filesystem.invalidate_cache()
        try:
            found = self._filesystem.find(f"{self._root}/{prefix}", detail=True)
        except FileNotFoundError:
            return {}
        start = len(self._root.strip("/")) + 1
        return {path.strip("/")[start:]: Entry(int(info["size"]), _modified(info)) for path, info in found.items()}

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders right under a folder, sorted."""
        self._filesystem.invalidate_cache()
        try:
            entries = self._filesystem.ls(f"{self._root}/{prefix}", detail=True)
        except FileNotFoundError:
            return []
        return sorted(e["name"].rstrip("/").rsplit("/", 1)[-1] for e in entries if e["type"] == "directory")

    def delete(self, key: str) -> None:
        """Removes an object and everything under it as a folder; nothing there is no error."""
        with contextlib.suppress(FileNotFoundError):
            self._filesystem.rm(f"{self._root}/{key}", recursive=True)

    def unfinished(self) -> dict[str, Entry]:
        """Nothing: fsspec does not tell."""
        return {}

    def abort(self, name: str) -> None:
        """Nothing, for what is not listed."""


def _modified(info: dict[str, Any]) -> float | None:
    """The time of an object in the words of several file systems of fsspec."""
    found = next(
        (info[name] for name in ("mtime", "LastModified", "updated", "last_modified", "created") if name in info), None
    )
    if isinstance(found, str):
        found = datetime.datetime.fromisoformat(found)
    if isinstance(found, datetime.datetime):
        found = found.timestamp()
    return float(found) if isinstance(found, (int, float)) else None
