"""Stores that a test looks into without `pretrain`: a local folder, and a prefix of a bucket."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from tests.chaos.watching import Events, changes_in, requests_in
from tests.s3.bucket import client_of
from tests.s3.server import BUCKET, S3Server

_HIDDEN = ".locks/"  # empty files, which stay


class Place(Protocol):
    """A store that runs are killed in."""

    url: str

    def environment(self) -> dict[str, str]:
        """Variables of a command that uses it."""

    def watched(self) -> contextlib.AbstractContextManager[Events]:
        """What happens in it while the block runs."""

    def files(self) -> dict[str, bytes]:
        """Every file by its key, temporary ones included."""

    def num_uploads(self) -> int:
        """Uploads that were begun and not ended."""


class LocalPlace:
    """A folder. Its events are changes of files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = str(folder)

    def environment(self) -> dict[str, str]:
        return {}

    def watched(self) -> contextlib.AbstractContextManager[Events]:
        return changes_in(self.folder)

    def files(self) -> dict[str, bytes]:
        found = {}
        for path in self.folder.rglob("*"):
            key = path.relative_to(self.folder).as_posix()
            if path.is_file() and not key.startswith(_HIDDEN):
                found[key] = path.read_bytes()
        return found

    def num_uploads(self) -> int:
        return 0


class BucketPlace:
    """A prefix of a bucket. Its events are requests. What was read once is not read again while its ETag stays."""

    def __init__(self, server: S3Server, prefix: str) -> None:
        self.url = f"s3://{BUCKET}/{prefix}"
        self._server = server
        self._prefix = f"{prefix}/"
        self._client = client_of(server)
        self._known: dict[str, tuple[str, bytes]] = {}

    def environment(self) -> dict[str, str]:
        return self._server.environment()

    @contextlib.contextmanager
    def watched(self) -> Iterator[Events]:
        with requests_in(self._server.folder / "requests.log", self._prefix.rstrip("/")) as events:
            yield events

    def files(self) -> dict[str, bytes]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=self._prefix)
        etags = {entry["Key"]: entry["ETag"] for page in pages for entry in page.get("Contents", [])}
        self._known = {key: known for key, known in self._known.items() if etags.get(key) == known[0]}
        for key, etag in etags.items():
            if key not in self._known:
                body = self._client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
                self._known[key] = (etag, body)
        return {key.removeprefix(self._prefix): body for key, (_, body) in self._known.items()}

    def num_uploads(self) -> int:
        answer = self._client.list_multipart_uploads(Bucket=BUCKET, Prefix=self._prefix)
        return len(answer.get("Uploads", []))


def is_manifest(key: str) -> bool:
    """Whether a key is `<stage>/<fingerprint>/manifest.json`."""
    return key.count("/") == 2 and key.endswith("/manifest.json")


def artifact_of(key: str) -> str:
    """`<stage>/<fingerprint>` of a key."""
    return "/".join(key.split("/")[:2])


def receipts_in(files: dict[str, bytes], artifact: str) -> list[dict[str, Any]]:
    """The receipts of an artifact; each must be whole."""
    prefix = f"{artifact}/receipts/"
    return [json.loads(data) for key, data in files.items() if key.startswith(prefix)]
