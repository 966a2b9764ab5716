"""Source files behind an fsspec URL (s3, https, ...): found, and identified by what their server says."""

import datetime
import posixpath
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import fsspec

from pretrain.download.remote_errors import FIRST_PATIENCE_SECONDS, patiently
from pretrain.errors import InputError
from pretrain.external import ExternalFile
from pretrain.redaction import without_secrets

# What servers call the version of a file, best first: the ETag is the same in a listing and in an answer.
# Size alone is no version: an edit can leave it.
_VERSION_KEYS = ("ETag", "etag", "Content-MD5", "Digest", "md5Hash", "sha256", "VersionId", "version_id")
_TIME_KEYS = ("mtime", "LastModified", "last_modified", "Last-Modified", "modify", "updated", "created")


class Version(NamedTuple):
    """What the server said of a file when the run was planned.

    Attributes:
        what: `etag`, `lastmodified`, ...
        value: its value, without quotes.
        bytes: the size of the file; None where the server did not say.
    """

    what: str
    value: str
    bytes: int | None

    @classmethod
    def of(cls, file: ExternalFile) -> "Version":
        """The version that a planned remote file has."""
        what, _, rest = file.identity.partition(":")
        value, _, size = rest.rpartition(":")
        return cls(what, value, int(size) if size.isdigit() else None)

    def told_by(self, headers: Mapping[str, str]) -> str | None:
        """The value in the header fields of an answer; None where they have none of its kind."""
        by_name = {_plain(name): value for name, value in headers.items()}
        value = by_name.get(self.what)
        return None if value is None else value.strip('"')


def is_remote(file: ExternalFile) -> bool:
    """Whether the file is behind a URL."""
    return "://" in file.location


def remote_files(uri: str) -> list[ExternalFile]:
    """The files at a URL of a file, folder or glob (`*`), in order of name.

    Raises:
        InputError: nothing is there, it cannot be read, or its server names no version to notice a change by.
        TransientInputError: its server cannot be reached, or fails.
    """

    def find() -> tuple[Any, str, list[dict[str, Any]]]:
        filesystem, path = fsspec.core.url_to_fs(uri)
        filesystem.invalidate_cache()
        return (filesystem, *_entries(filesystem, path))

    filesystem, root, entries = patiently(uri, find, FIRST_PATIENCE_SECONDS)
    files = [
        ExternalFile(
            name=_name(entry["name"], root),
            location=filesystem.unstrip_protocol(entry["name"]),
            identity=identity_of(entry),
            bytes=int(entry.get("size") or 0),
        )
        for entry in entries
        if entry.get("type", "file") == "file"
    ]
    if not files:
        raise InputError(f"no file matches {without_secrets(uri)}; correct the uri in the recipe")
    return sorted(files, key=lambda file: file.name)


def reading_error(file: ExternalFile, error: Exception) -> InputError:
    """The error for a file, or the copy of one, that this machine's disk does not give."""
    return InputError(f"cannot read {shown(file)}: {error}; check the disk or copy the file elsewhere")


def shown(file: ExternalFile) -> str:
    """Where the file is, as messages may show it."""
    return without_secrets(file.location)


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


def _plain(key: str) -> str:
    return key.lower().replace("-", "").replace("_", "")


def _has_version(entry: dict[str, Any]) -> bool:
    return any(entry.get(key) for key in (*_VERSION_KEYS, *_TIME_KEYS))


def identity_of(entry: dict[str, Any]) -> str:
    """What a server says of a file's version, as `<what>:<value>:<bytes>`.

    Raises:
        InputError: it says nothing.
    """
    for key in (*_VERSION_KEYS, *_TIME_KEYS):
        value = entry.get(key)
        if value and value != "null":  # S3 names the version "null" in a bucket without versions
            # Some file systems list times as seconds and tell them of one file as datetime.
            value = value.timestamp() if isinstance(value, datetime.datetime) else str(value).strip('"')
            return f"{_plain(key)}:{value}:{entry.get('size')}"
    raise InputError(
        f"the server of {without_secrets(str(entry['name']))} names no ETag, version or time of change, so "
        "a changed file would go unnoticed: download it and name the local file in the recipe"
    )
