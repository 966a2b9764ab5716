"""The bytes of a remote file from a place on, with patience for a server that stumbles.

HTTP is read as one answer, by `Range` (RFC 9110, section 14) where some bytes are there already. Other file systems
are read by ranges, several at once. A connection that breaks is no error as long as bytes keep coming: the reading
goes on where it ended, after pauses with full jitter that double.
"""

import re
from collections.abc import Iterator
from typing import Any

import aiohttp
import fsspec
from fsspec.asyn import sync

from pretrain.download.remote import Version, identity_of, shown
from pretrain.download.remote_errors import PATIENCE_SECONDS, Pauses, changed_error, input_errors, may_pass
from pretrain.errors import InputError, PretrainError
from pretrain.external import ExternalFile

# Bytes of the file, and the place of the first.
Piece = tuple[int, bytes]

RANGE_BYTES = 8 << 20
NUM_RANGES_AT_ONCE = 4
_CHUNK_BYTES = 1 << 20
# aiohttp holds up to twice what is asked for, and drops it when the connection breaks: what a lost connection costs
_HTTP_CHUNK_BYTES = 1 << 16
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=30.0)
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class _CutError(ConnectionError):
    """An answer ended before its time."""


def read_on(file: ExternalFile, start: int) -> Iterator[Piece]:
    """The bytes of a file from `start` on, in order. A server that cannot go on begins anew: with the place 0.

    Raises:
        InputError: it was changed since it was planned, is gone, or is refused.
        TransientInputError: nothing more arrived for `PATIENCE_SECONDS`.
    """
    size = Version.of(file).bytes
    here = furthest = start
    pauses = Pauses(file.location, PATIENCE_SECONDS)
    while True:
        try:
            with input_errors(file.location):
                for first, data in _read(file, here):
                    yield first, data
                    here = first + len(data)
                    if here > furthest:
                        furthest = here
                        pauses.begin()
            if size is None or here == size:
                return
            if here > size:
                raise InputError(f"{shown(file)} has more than the {size} bytes that its server told; check the server")
            failure: Exception = _CutError(f"ended after {here} of {size} bytes")
        except PretrainError:
            raise
        except Exception as error:
            if not may_pass(error):
                raise
            failure = error
        pauses.wait(failure)


def _read(file: ExternalFile, start: int) -> Iterator[Piece]:
    filesystem, path = fsspec.core.url_to_fs(file.location)
    if "http" in filesystem.protocol:
        yield from _read_http(filesystem, path, file, start)
    else:
        _require_unchanged(filesystem, path, file)
        yield from _read_ranges(filesystem, path, file, start)
        _require_unchanged(filesystem, path, file)


def _require_unchanged(filesystem: Any, path: str, file: ExternalFile) -> None:
    filesystem.invalidate_cache()
    if identity_of({"name": path, **filesystem.info(path)}) != file.identity:
        raise changed_error(file)


def _read_ranges(filesystem: Any, path: str, file: ExternalFile, start: int) -> Iterator[Piece]:
    size = Version.of(file).bytes
    if size is None:
        with filesystem.open(path, "rb") as raw:
            raw.seek(start)
            while data := raw.read(_CHUNK_BYTES):
                yield raw.tell() - len(data), data
        return
    step = RANGE_BYTES * NUM_RANGES_AT_ONCE
    for first in range(start, size, step):
        starts = list(range(first, min(first + step, size), RANGE_BYTES))
        ends = [min(at + RANGE_BYTES, size) for at in starts]
        parts = filesystem.cat_ranges([path] * len(starts), starts, ends, on_error="raise")
        for at, end, data in zip(starts, ends, parts, strict=True):
            if len(data) != end - at:
                raise _CutError(f"{len(data)} bytes instead of {end - at}")
            yield at, data


def _read_http(filesystem: Any, url: str, file: ExternalFile, start: int) -> Iterator[Piece]:
    response = sync(filesystem.loop, _ask, filesystem, url, start)
    try:
        here = _first_byte(file, response, start)
        if here is None:
            return
        while data := sync(filesystem.loop, response.content.read, _HTTP_CHUNK_BYTES):
            yield here, data
            here += len(data)
    finally:
        response.close()


async def _ask(filesystem: Any, url: str, start: int) -> aiohttp.ClientResponse:
    session = await filesystem.set_session()
    options = dict(filesystem.kwargs)
    # the bytes as they lie there: an encoding of the way would change their number
    headers = {**options.pop("headers", {}), "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    response: aiohttp.ClientResponse = await session.get(
        filesystem.encode_url(url), headers=headers, auto_decompress=False, **{**options, "timeout": _TIMEOUT}
    )
    return response


def _first_byte(file: ExternalFile, response: aiohttp.ClientResponse, start: int) -> int | None:
    """The place of the answer's first byte; None where nothing is left to read."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    total = int(found[2]) if found and found[2] != "*" else None
    if response.status == 200 and "Content-Encoding" not in response.headers:
        total = response.content_length
    version = Version.of(file)
    if response.status in {200, 206, 416}:
        told = version.told_by(response.headers)
        if (told is not None and told != version.value) or (
            None not in (total, version.bytes) and total != version.bytes
        ):
            raise changed_error(file)
    if response.status == 416 and total == start:
        return None
    response.raise_for_status()
    if response.status == 206:
        if found is None or found[1] is None:
            raise _CutError("a part that does not say which")
        return int(found[1])
    return 0
