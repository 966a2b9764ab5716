"""Remote files as checked copies in the cache folder, each fetched once and shared by all runs of a machine.

    <cache>/fetched/sources/<url>-<version>                 a copy; its size limit and eviction: pretrain.fetched
    <cache>/fetched/.unfinished/<url>/<version>.partial     what has arrived of one: a rerun goes on from there
    <cache>/fetched/.unfinished/<url>/lock                  held by the process that fetches

`<url>` and `<version>` are hashes of the url and of what the server called the version when the run was planned, so a
copy of another version is never taken for this one. A copy is put in its place when it has the size that the server
told, the MD5 that an ETag of S3 names, and the sha256 that the recipe names: before that it has no name to be found by.
"""

import contextlib
import fcntl
import hashlib
import logging
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import fsspec

from pretrain.download.remote import Version, shown
from pretrain.download.remote_errors import PATIENCE_SECONDS, patiently
from pretrain.download.remote_reading import read_on
from pretrain.errors import InputError, StoreFullError, TransientInputError
from pretrain.external import ExternalFile
from pretrain.fetched import FetchedFiles
from pretrain.filehash import FileHashes, cache_dir
from pretrain.store import locked, space_errors

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20
_REPORT_SECONDS = 10.0
# What nobody went on with for so long, nobody will.
_ABANDONED_SECONDS = 7 * 24 * 3600.0
_MD5 = re.compile(r"[0-9a-f]{32}")


def open_copy(file: ExternalFile) -> BinaryIO:
    """The copy of a remote file, opened for reading; fetched first if need be.

    Raises:
        InputError, StageError: as `copied`.
    """
    with copied(file) as path:
        return path.open("rb")


@contextlib.contextmanager
def copied(file: ExternalFile, sha256: str | None = None) -> Iterator[Path]:
    """The path of the copy of a remote file, which stays for the time of the block; fetched first if need be.

    Args:
        file: as it was planned.
        sha256: what the recipe says its bytes have, 64 hex digits.

    Raises:
        InputError: it was changed since it was planned, is gone, is refused, or has another sha256.
        TransientInputError: it could not be read to its end for as long as patience lasts.
        StoreFullError: the cache folder has no space for it.
    """
    files = FetchedFiles()
    url, version = _hash(file.location), _hash(file.identity)
    path = files.path_of("sources", f"{url}-{version}")
    with space_errors(f"copying {shown(file)} into the cache", str(cache_dir())):
        files.hold(path)
        if not _is_whole(path):
            _drop_abandoned(files.folder / ".unfinished")
            folder = files.folder / ".unfinished" / url
            with locked(folder / "lock"):
                if not _is_whole(path):  # another process may have fetched it meanwhile
                    _fetch(file, folder / f"{version}.partial", path, files, sha256)
    if sha256 is not None:
        _require_sha256(file, FileHashes().sha256(path, settled_only=False), sha256)
    yield path


def require_sha256(file: ExternalFile, sha256: str) -> None:
    """Fetches a remote file, if need be, and checks that it is what the recipe names.

    Raises:
        InputError, StageError: as `copied`.
    """
    with copied(file, sha256):
        pass


def _fetch(file: ExternalFile, partial: Path, path: Path, files: FetchedFiles, sha256: str | None) -> None:
    for other in partial.parent.glob("*.partial"):
        if other != partial:
            other.unlink(missing_ok=True)  # of a version that the server has no more
    is_resumed = partial.exists() and partial.stat().st_size > 0
    _complete(file, partial)
    digest, md5 = _digests(partial)
    if _is_spoiled(file, md5) or (is_resumed and sha256 not in (None, digest)):
        partial.unlink()
        _complete(file, partial)  # once more, from the start
        digest, md5 = _digests(partial)
        if _is_spoiled(file, md5):
            partial.unlink()
            raise TransientInputError(
                f"{shown(file)} arrived twice with the MD5 {md5}, its server names {Version.of(file).value}: "
                "check the network and run the same command again"
            )
    if sha256 is not None and digest != sha256:
        partial.unlink()
        _require_sha256(file, digest, sha256)
    files.place(partial, path)
    FileHashes().remember(path, digest)


def _require_sha256(file: ExternalFile, digest: str, sha256: str) -> None:
    if digest != sha256:
        raise InputError(
            f"{shown(file)} has the sha256 {digest}, the recipe says {sha256}; name the right file, or correct "
            "the recipe"
        )


def _complete(file: ExternalFile, partial: Path) -> None:
    """Fetches what is missing of a file, until its partial copy is whole."""
    version = Version.of(file)
    started_at = reported_at = time.monotonic()
    with partial.open("ab"):  # made if need be
        pass
    with partial.open("r+b") as copy:
        num_bytes = copy.seek(0, 2)
        if version.bytes is not None and num_bytes > version.bytes:
            num_bytes = 0
        _require_space(file, partial, (version.bytes or 0) - num_bytes)
        copy.truncate(num_bytes)
        for first, data in read_on(file, num_bytes):
            if first != copy.tell():  # the server began anew
                copy.seek(first)
                copy.truncate()
            copy.write(data)
            if time.monotonic() - reported_at > _REPORT_SECONDS:
                reported_at = time.monotonic()
                speed = copy.tell() / (reported_at - started_at) / 1e6
                logger.info("%s: %d of %s bytes, %.1f MB/s", shown(file), copy.tell(), version.bytes or "?", speed)


def _require_space(file: ExternalFile, partial: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(partial.parent).free
    if num_bytes > free:
        raise StoreFullError(
            f"no space left for {shown(file)} in the cache {cache_dir()}: it takes {num_bytes} bytes more, {free} are "
            "free; free some, or point PRETRAIN_CACHE_DIR at a larger disk, then run the same command to resume"
        )


def _is_spoiled(file: ExternalFile, md5: str) -> bool:
    """Whether the bytes are not those that the server's ETag was taken of, where it is an MD5."""
    what, value, _ = Version.of(file)
    if what != "etag" or value == md5 or not _MD5.fullmatch(value) or not file.location.startswith(("s3://", "s3a://")):
        return False
    return not _is_encrypted(file)


def _is_encrypted(file: ExternalFile) -> bool:
    """Whether the server encrypts the object with a key, so that its ETag is no MD5 (S3 API, Object)."""
    filesystem, path = fsspec.core.url_to_fs(file.location)
    bucket, key, _ = filesystem.split_path(path)
    head = patiently(file.location, lambda: filesystem.call_s3("head_object", Bucket=bucket, Key=key), PATIENCE_SECONDS)
    return head.get("ServerSideEncryption", "AES256") != "AES256" or "SSECustomerAlgorithm" in head


def _is_whole(path: Path) -> bool:
    """Whether the copy is there, and as it was when it was checked."""
    return path.exists() and FileHashes().recall(path) is not None


def _digests(path: Path) -> tuple[str, str]:
    """sha256 and MD5 of a file."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            sha256.update(chunk)
            md5.update(chunk)
    return sha256.hexdigest(), md5.hexdigest()


def _drop_abandoned(folder: Path) -> None:
    for partial in folder.glob("*/*.partial"):
        with contextlib.suppress(OSError), (partial.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - partial.stat().st_mtime > _ABANDONED_SECONDS:
                partial.unlink()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
