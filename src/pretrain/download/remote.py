"""Source files behind an fsspec URL (s3, https, ...): found, identified by their server, read as streams."""

import contextlib
import datetime
import posixpath
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import fsspec

from pretrain.errors import InputError, PretrainError, TransientInputError
from pretrain.external import ExternalFile
from pretrain.redaction import without_secrets

# What servers call the version of a file, best first: the ETag is the same in a listing and in an answer.
# Size alone is no version: an edit can leave it.
_VERSION_KEYS = ("ETag", "etag", "Content-MD5", "Digest", "md5Hash", "sha256", "VersionId", "version_id")
_TIME_KEYS = ("mtime", "LastModified", "last_modified", "Last-Modified", "modify", "updated", "created")


def is_remote(file: ExternalFile) -> bool:
    """Whether the file is behind a URL."""
    return "://" in file.location


def remote_files(uri: str) -> list[ExternalFile]:
    """The files at a URL of a file, folder or glob (`*`), in order of name.

    Raises:
        InputError: nothing is there, it cannot be read, or its server names no version to notice a change by.
    """
    with _input_errors(uri):
        filesystem, path = fsspec.core.url_to_fs(uri)
        filesystem.invalidate_cache()
        root, entries = _entries(filesystem, path)
    files = [
        ExternalFile(
            name=_name(entry["name"], root),
            location=filesystem.unstrip_protocol(entry["name"]),
            identity=_identity(entry),
            bytes=int(entry.get("size") or 0),
        )
        for entry in entries
        if entry.get("type", "file") == "file"
    ]
    if not files:
        raise InputError(f"no file matches {without_secrets(uri)}; correct the uri in the recipe")
    return sorted(files, key=lambda file: file.name)


def open_unchanged(file: ExternalFile) -> BinaryIO:
    """The file as a stream, after a check that the server still names the version that was planned.

    Raises:
        InputError: it was changed or removed, or cannot be read.
    """
    with _input_errors(file.location):
        filesystem, path = fsspec.core.url_to_fs(file.location)
        filesystem.invalidate_cache()
        identity = _identity({"name": path, **filesystem.info(path)})
        if identity == file.identity:
            return cast(BinaryIO, filesystem.open(path, "rb"))
    shown = without_secrets(file.location)
    raise InputError(f"{shown} was changed while the run was on its way: run the same command again")


@contextlib.contextmanager
def fetched(file: ExternalFile) -> Iterator[Path]:
    """A temporary local copy, for formats that need random access: so a lost connection is no damaged file.

    Raises:
        InputError: it was changed or removed, or cannot be read.
        StageError: the connection failed on the way.
    """
    with tempfile.NamedTemporaryFile(prefix="pretrain-", suffix=f"-{Path(file.name).name}") as copy:
        with open_unchanged(file) as raw:
            try:
                while chunk := raw.read(1 << 20):
                    copy.write(chunk)
            except Exception as error:
                raise reading_error(file, error) from None
        copy.flush()
        yield Path(copy.name)


def reading_error(file: ExternalFile, error: Exception) -> PretrainError:
    """The error for a read that broke off: a lost connection can be retried, a bad disk cannot."""
    shown = without_secrets(file.location)
    if is_remote(file):
        return TransientInputError(
            f"reading {shown} broke off ({type(error).__name__}); run the same command to resume"
        )
    return InputError(f"cannot read {shown}: {error}; check the disk or copy the file elsewhere")


def _entries(filesystem: Any, path: str) -> tuple[str, list[dict[str, Any]]]:
    if "*" in path:
        root = posixpath.dirname(path[: path.index("*")] + "x")
        found = filesystem.glob(path, detail=True)
    elif "http" not in filesystem.protocol and filesystem.isdir(path):
        root, found = path.rstrip("/"), filesystem.find(path, detail=True)
    else:
        root, found = posixpath.dirname(urlsplit(path).path or path), {path: filesystem.info(path)}
    entries = [{**entry, "name": name} for name, entry in found.items()]
    # A listing of an HTTP folder says no more than the name of each file.
    return root, [e if _has_version(e) else {**filesystem.info(e["name"]), "name": e["name"]} for e in entries]


def _name(path: str, root: str) -> str:
    plain = urlsplit(path).path if "://" in path else path
    root = urlsplit(root).path if "://" in root else root
    return posixpath.relpath("/" + plain.strip("/"), "/" + root.strip("/"))


def _has_version(entry: dict[str, Any]) -> bool:
    return any(entry.get(key) for key in (*_VERSION_KEYS, *_TIME_KEYS))


def _identity(entry: dict[str, Any]) -> str:
    for key in (*_VERSION_KEYS, *_TIME_KEYS):
        value = entry.get(key)
        if value and value != "null":  # S3 names the version "null" in a bucket without versions
            # Some file systems list times as seconds and tell them of one file as datetime.
            value = value.timestamp() if isinstance(value, datetime.datetime) else str(value).strip('"')
            return f"{key.lower().replace('-', '').replace('_', '')}:{value}:{entry.get('size')}"
    raise InputError(
        f"the server of {without_secrets(str(entry['name']))} names no ETag, version or time of change, so "
        "a changed file would go unnoticed: download it and name the local file in the recipe"
    )


@contextlib.contextmanager
def _input_errors(uri: str) -> Iterator[None]:
    """Errors of file systems, told without the secrets that their own messages may hold."""
    shown = without_secrets(uri)
    try:
        yield
    except PretrainError:
        raise
    except FileNotFoundError:
        raise InputError(f"nothing is at {shown}; correct the uri in the recipe") from None
    except (ImportError, ValueError) as error:
        raise InputError(
            f"{shown} cannot be opened: {str(error).replace(uri, shown)}; "
            "use a local path, s3 or https, or install its driver"
        ) from None
    except Exception as error:
        name = type(error).__name__
        if isinstance(error, PermissionError) or "Credential" in name:
            raise InputError(f"{shown} refuses this environment's credentials ({name}); check them") from None
        raise TransientInputError(
            f"{shown} cannot be reached ({name}); check the network and run the same command again"
        ) from None
