"""Objects of an S3 bucket, read and written so that no single failure of a request shows.

The client of botocore signs and sends; credentials, region and endpoint come by its ordinary chain (environment,
profile, instance). What is built here on top of it:

- one way to try again for everything, bodies included, where botocore's own ends before a body is read and after a
  few seconds: full jitter on a pause that doubles, for `PATIENCE_SECONDS`, so that a server may be away for a minute.
  A server that has never answered gets `FIRST_PATIENCE_SECONDS`: its address may be wrong.
- large files go up and come down in parts, several at once, in bounded memory.
- each object carries the sha256 of its bytes as metadata, which is checked when it is read: bytes that were changed
  on the way, or in the store, are never handed on.
"""

import contextlib
import functools
import hashlib
import itertools
import logging
import math
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

import botocore.exceptions

from pretrain.errors import DamagedArtifactError, StorePermissionError, UsageError
from pretrain.filehash import sha256_of_file
from pretrain.redaction import without_secrets
from pretrain.s3_errors import CLIENT_ERRORS, code_of, is_answer, may_pass, read_page, status_of, store_error
from pretrain.store import Entry

T = TypeVar("T")

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 120.0
FIRST_PATIENCE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 10.0

MAX_UPLOAD_PARTS = 10_000  # of S3
MIN_UPLOAD_PART_BYTES = 16 << 20
NUM_UPLOADS_AT_ONCE = 4  # times a part is the memory of an upload: 64 MiB up to a file of 156 GiB
DOWNLOAD_PART_BYTES = 8 << 20
NUM_DOWNLOADS_AT_ONCE = 8
MAX_WRONG_READS = 3  # a body that differs from its sha256 so often is damaged in the store, not on the way
MAX_DELETED_AT_ONCE = 1000  # of S3
_CHUNK_BYTES = 1 << 20
_DIGEST = "sha256"  # name of the metadata


class _WrongBytesError(Exception):
    """A whole body arrived whose sha256 is not the one that was stored with it."""


def upload_part_bytes(total: int) -> int:
    """Bytes of each part of an upload of `total` bytes: 16 MiB, or whole MiB more where those were over 10,000."""
    mebibyte = 1 << 20
    return max(MIN_UPLOAD_PART_BYTES, math.ceil(total / MAX_UPLOAD_PARTS / mebibyte) * mebibyte)


class S3Objects:
    """The objects under one prefix of a bucket; safe for several threads. Keys are relative to the prefix."""

    def __init__(self, url: str, client: Any) -> None:
        self.url = url
        self.bucket, _, prefix = url.partition("://")[2].partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        if not self.bucket:
            raise UsageError(f"{url}: a store in S3 is s3://bucket or s3://bucket/prefix")
        self._client = client
        self.endpoint = without_secrets(str(self._client.meta.endpoint_url))
        self.has_answered = False
        self.is_refused = False
        self._has_failed = False
        self._random = random.Random()

    def read(self, key: str) -> bytes:
        """The bytes of an object. Raises FileNotFoundError, DamagedArtifactError."""

        def get() -> bytes:
            answer = self._client.get_object(Bucket=self.bucket, Key=self._prefix + key)
            with contextlib.closing(answer["Body"]) as body:
                data: bytes = body.read()
            _require(answer, hashlib.sha256(data).hexdigest())
            return data

        return self._patiently("reading", key, get)

    def read_range(self, key: str, first: int, num_bytes: int) -> bytes:
        """Some bytes of an object, by one request; nothing tells whether they are those that were put."""
        place = {"Bucket": self.bucket, "Key": self._prefix + key, "Range": f"bytes={first}-{first + num_bytes - 1}"}

        def get() -> bytes:
            answer = self._client.get_object(**place)
            with contextlib.closing(answer["Body"]) as body:
                data: bytes = body.read()
            return data

        return self._patiently("reading", key, get)

    def write(self, key: str, data: bytes) -> None:
        """Puts an object whole."""
        self._put(key, data, hashlib.sha256(data).hexdigest())

    def create(self, key: str, data: bytes) -> bool:
        """Puts an object whole unless one is there, by If-None-Match; whether `data` is what is there now.

        A server that does not know the header overwrites; one that refuses it is asked without.
        """
        request = self._whole(key, data, hashlib.sha256(data).hexdigest())

        def put() -> bool:
            try:
                self._client.put_object(**request, IfNoneMatch="*")
            except botocore.exceptions.ClientError as error:
                if status_of(error) == 412:
                    return False
                if code_of(error) != "NotImplemented":
                    raise
                self._client.put_object(**request)
            return True

        if self._patiently("writing", key, put):
            return True
        with contextlib.suppress(FileNotFoundError):  # removed again meanwhile
            return self.read(key) == data  # ours, where the answer to an earlier try was lost
        return False

    def put(self, path: Path, key: str, sha256: str | None) -> None:
        """Puts a local file, in parts where it is large; no one sees it before it is whole."""
        digest = sha256 or sha256_of_file(path)
        if path.stat().st_size <= 2 * MIN_UPLOAD_PART_BYTES:
            self._put(key, path.read_bytes(), digest)
        else:
            self._put_parts(path, key, digest)

    def fetch(self, key: str, path: Path) -> str:
        """Writes an object to a local file; returns the sha256 of its bytes.

        Raises:
            FileNotFoundError: there is no such object.
            DamagedArtifactError: its bytes are not those that were put.
        """

        def get() -> str:
            digest = hashlib.sha256()
            answer = self._get_first(key, path, digest)
            total = int(answer.get("ContentRange", "/0").rpartition("/")[2])
            if total > DOWNLOAD_PART_BYTES:
                self._get_rest(key, path, total, answer["ETag"], digest)
            _require(answer, digest.hexdigest())
            return digest.hexdigest()

        return self._patiently("fetching", key, get)

    def recorded_sha256(self, key: str) -> str | None:
        """The sha256 that was put beside an object. Raises FileNotFoundError."""
        ask = functools.partial(self._client.head_object, Bucket=self.bucket, Key=self._prefix + key)
        metadata: dict[str, str] = self._patiently("reading", key, ask).get("Metadata", {})
        return metadata.get(_DIGEST)

    def entries(self, prefix: str) -> dict[str, Entry]:
        """Size and time of every object under a folder."""
        start = len(self._prefix)
        pages = self._list(_folder(prefix))
        found = itertools.chain.from_iterable(page.get("Contents", []) for page in pages)
        return {
            entry["Key"][start:]: Entry(int(entry["Size"]), entry["LastModified"].timestamp())
            for entry in found
            if not entry["Key"].endswith("/")
        }

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders right under a folder."""
        pages = self._list(_folder(prefix), Delimiter="/")
        found = itertools.chain.from_iterable(page.get("CommonPrefixes", []) for page in pages)
        return sorted(entry["Prefix"].rstrip("/").rsplit("/", 1)[-1] for entry in found)

    def delete(self, key: str) -> None:
        """Removes an object and every object under it as a folder."""
        keys = [self._prefix + name for name in (key, *self.entries(key))]
        for first in range(0, len(keys), MAX_DELETED_AT_ONCE):
            batch = [{"Key": name} for name in keys[first : first + MAX_DELETED_AT_ONCE]]
            self._patiently("removing", key, functools.partial(self._delete, batch))

    def unfinished(self) -> dict[str, Entry]:
        """Multipart uploads under the prefix that were begun and not ended, as `<key>?<upload id>`; sizes unknown."""
        found: dict[str, Entry] = {}
        marker: dict[str, str] = {}
        while True:
            request = {"Bucket": self.bucket, "Prefix": self._prefix, **marker}
            ask = functools.partial(read_page, self._client.list_multipart_uploads, request)
            page = self._patiently("listing", "", ask)
            for upload in page.get("Uploads", []):
                name = f"{upload['Key'].removeprefix(self._prefix)}?{upload['UploadId']}"
                found[name] = Entry(0, upload["Initiated"].timestamp())
            if not page.get("IsTruncated"):
                return found
            marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def abort(self, name: str) -> None:
        """Ends an upload of `unfinished`."""
        key, _, upload = name.rpartition("?")
        place = {"Bucket": self.bucket, "Key": self._prefix + key, "UploadId": upload}

        def end() -> None:
            try:
                self._client.abort_multipart_upload(**place)
            except botocore.exceptions.ClientError as error:
                if code_of(error) != "NoSuchUpload":
                    raise

        self._patiently("removing", key, end)

    def _delete(self, batch: list[dict[str, str]]) -> None:
        answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": batch, "Quiet": True})
        for error in answer.get("Errors", []):  # the answer as a whole is 200
            if error.get("Code") != "NoSuchKey":
                status = {"HTTPStatusCode": 403 if error.get("Code") == "AccessDenied" else 400}
                raise botocore.exceptions.ClientError({"Error": error, "ResponseMetadata": status}, "DeleteObjects")

    def _list(self, prefix: str, **options: str) -> Iterator[dict[str, Any]]:
        token: dict[str, str] = {}
        while True:
            request = {"Bucket": self.bucket, "Prefix": self._prefix + prefix, **options, **token}
            ask = functools.partial(read_page, self._client.list_objects_v2, request)
            page = self._patiently("listing", prefix, ask)
            yield page
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _put(self, key: str, data: bytes, digest: str) -> None:
        self._patiently("writing", key, functools.partial(self._client.put_object, **self._whole(key, data, digest)))

    def _whole(self, key: str, data: bytes, digest: str) -> dict[str, Any]:
        return {"Bucket": self.bucket, "Key": self._prefix + key, "Metadata": {_DIGEST: digest}, "Body": data}

    def _put_parts(self, path: Path, key: str, digest: str) -> None:
        place = {"Bucket": self.bucket, "Key": self._prefix + key}
        begin = functools.partial(self._client.create_multipart_upload, **place, Metadata={_DIGEST: digest})
        place["UploadId"] = self._patiently("writing", key, begin)["UploadId"]
        total, part_bytes = path.stat().st_size, upload_part_bytes(path.stat().st_size)
        stop = threading.Event()

        def put_part(index: int) -> dict[str, Any]:
            with path.open("rb") as file:
                file.seek(index * part_bytes)
                data = file.read(part_bytes)
            put = functools.partial(self._client.upload_part, **place, PartNumber=index + 1, Body=data)
            return {"PartNumber": index + 1, "ETag": self._patiently("writing", key, put, stop)["ETag"]}

        try:
            parts = _at_once(put_part, range(math.ceil(total / part_bytes)), NUM_UPLOADS_AT_ONCE, stop)
            end = functools.partial(self._complete, place, parts, digest)
            self._patiently("writing", key, end)
        except BaseException:
            with contextlib.suppress(botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
                self._client.abort_multipart_upload(**place)  # what stays, no one sees, but it takes space
            raise

    def _complete(self, place: dict[str, str], parts: list[dict[str, Any]], digest: str) -> None:
        try:
            self._client.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
        except botocore.exceptions.ClientError as error:
            if code_of(error) != "NoSuchUpload":
                raise
            # an earlier try may have ended it, and its answer was lost
            found = self._client.head_object(Bucket=place["Bucket"], Key=place["Key"])
            if found.get("Metadata", {}).get(_DIGEST) != digest:
                raise

    def _get_first(self, key: str, path: Path, digest: Any) -> dict[str, Any]:
        place = {"Bucket": self.bucket, "Key": self._prefix + key}
        try:
            answer: dict[str, Any] = self._client.get_object(**place, Range=f"bytes=0-{DOWNLOAD_PART_BYTES - 1}")
        except botocore.exceptions.ClientError as error:
            if status_of(error) != 416:  # an empty object has no range
                raise
            answer = self._client.get_object(**place)
        with contextlib.closing(answer["Body"]) as body, path.open("wb") as file:
            for chunk in body.iter_chunks(_CHUNK_BYTES):
                file.write(chunk)
                digest.update(chunk)
        return answer

    def _get_rest(self, key: str, path: Path, total: int, etag: str, digest: Any) -> None:
        stop = threading.Event()
        with path.open("r+b") as file:

            def get_part(first: int) -> None:
                last = min(first + DOWNLOAD_PART_BYTES, total) - 1

                def get() -> bytes:
                    answer = self._client.get_object(
                        Bucket=self.bucket, Key=self._prefix + key, Range=f"bytes={first}-{last}", IfMatch=etag
                    )
                    with contextlib.closing(answer["Body"]) as body:
                        data: bytes = body.read()
                    return data

                os.pwrite(file.fileno(), self._patiently("fetching", key, get, stop), first)

            # hashed in order as they arrive, while those after them are on their way
            for first in _each_at_once(get_part, range(DOWNLOAD_PART_BYTES, total, DOWNLOAD_PART_BYTES), stop):
                digest.update(os.pread(file.fileno(), DOWNLOAD_PART_BYTES, first))

    def _patiently(self, action: str, key: str, request: Callable[[], T], stop: threading.Event | None = None) -> T:
        """What `request` gives, tried again while its failure may pass and patience lasts."""
        place = f"s3://{self.bucket}/{self._prefix}{key}"
        stop = stop or threading.Event()
        ends_at = time.monotonic() + self._patience_seconds()
        num_tries = num_wrong_reads = 0
        while True:
            num_tries += 1
            pause = self._random.uniform(0, min(LONGEST_PAUSE_SECONDS, 0.1 * 2**num_tries))
            try:
                result = request()
            except _WrongBytesError as error:
                num_wrong_reads += 1
                if num_wrong_reads == MAX_WRONG_READS:
                    raise DamagedArtifactError(f"{place} is damaged ({error}): run the same command again") from error
                failure: Exception = error
            except CLIENT_ERRORS as error:
                is_over = stop.is_set() or time.monotonic() + pause > ends_at
                self._give_up_unless_passing(error, action, place, is_over)
                failure = error
            else:
                self.has_answered, self._has_failed = True, False
                return result
            level = logging.WARNING if num_tries == 4 else logging.DEBUG  # an outage is said once, not at every try
            logger.log(level, "%s %s: %s; trying again for %.0f s", action, place, failure, ends_at - time.monotonic())
            stop.wait(pause)

    def _patience_seconds(self) -> float:
        if self.has_answered:
            return PATIENCE_SECONDS
        return 0.0 if self._has_failed else FIRST_PATIENCE_SECONDS

    def _give_up_unless_passing(self, error: Exception, action: str, place: str, is_over: bool) -> None:
        if may_pass(error):
            if not is_over:
                return
            self.has_answered, self._has_failed = False, True  # who comes next need not wait as long again
        elif is_answer(error):
            self.has_answered = True
            is_absent = status_of(error) == 404 and code_of(error) != "NoSuchBucket"
            if action in {"reading", "fetching"} and is_absent:
                raise FileNotFoundError(place) from error
        refusal = store_error(error, action, place, self.bucket, self.endpoint)
        if isinstance(refusal, StorePermissionError):
            self.is_refused = True
        raise refusal from error


def _require(answer: dict[str, Any], digest: str) -> None:
    expected = answer.get("Metadata", {}).get(_DIGEST, digest)  # put by another program: there is nothing to check
    if expected != digest:
        raise _WrongBytesError(f"sha256 {digest[:12]}... instead of {expected[:12]}...")


def _folder(prefix: str) -> str:
    return f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""


def _each_at_once(function: Callable[[int], None], items: Sequence[int], stop: threading.Event) -> Iterator[int]:
    """Each of `items` in its order, when `function` is done with it; the first failure ends the others."""
    with ThreadPoolExecutor(NUM_DOWNLOADS_AT_ONCE) as threads:
        futures = [threads.submit(function, item) for item in items]
        try:
            for item, future in zip(items, futures, strict=True):
                future.result()
                yield item
        finally:
            stop.set()
            for future in futures:
                future.cancel()


def _at_once(function: Callable[[int], T], items: Sequence[int], num_threads: int, stop: threading.Event) -> list[T]:
    """Results in the order of `items`; the first failure ends the others."""
    with ThreadPoolExecutor(num_threads) as threads:
        futures = [threads.submit(function, item) for item in items]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            return [future.result() for future in futures if not future.cancelled()]
        finally:
            stop.set()
            for future in futures:
                future.cancel()
