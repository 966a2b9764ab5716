"""Bytes of an outside file: checked against what was planned, decompressed as a stream, memory bounded.

Compression is found by content, member by member, so that concatenated gzip files, a wrong suffix and zero
padding read as `gzip -d` reads them. What lies before a cut or a flipped byte is delivered before the error.
"""

import bz2
import hashlib
import itertools
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import zstandard

from pretrain.download import remote
from pretrain.errors import InputError
from pretrain.external import ExternalFile, require_unchanged

CHUNK_BYTES = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What one call may swell to bounds memory: 4 KiB become at most 4 MiB with gzip, 128 MiB with a zstd bomb.
PIECE_BYTES = 4096
# Beyond the first GiB, content that is 1000 times the file is taken for a bomb: gzip reaches 1032 with nothing but
# zeros, text some 50.
MAX_RATIO = 1000
RATIO_FREE_BYTES = 1 << 30
# xz -9 needs 65 MiB; a header may ask for 4 GiB.
_XZ_MEMORY_BYTES = 512 << 20


class UnreadableContentError(Exception):
    """The rest of a file cannot be read; `args[0]` is the reason. Never leaves this package."""


class _Codec(NamedTuple):
    magic: bytes
    decoder: Callable[[], Any]


_CODECS = (
    _Codec(b"\x1f\x8b", lambda: zlib.decompressobj(wbits=31)),
    _Codec(b"\x28\xb5\x2f\xfd", lambda: zstandard.ZstdDecompressor().decompressobj()),
    _Codec(b"BZh", bz2.BZ2Decompressor),
    _Codec(b"\xfd7zXZ\x00", lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)),
)
COMPRESSION_SUFFIXES = (".gz", ".zst", ".zstd", ".bz2", ".xz")
_DECODER_ERRORS = (zlib.error, zstandard.ZstdError, lzma.LZMAError, OSError, EOFError, ValueError)
_CHECKSUM_MESSAGES = ("data check", "length check", "checksum")


def open_raw(file: ExternalFile) -> BinaryIO:
    """The file's bytes as they lie there, after a check that they are what the plan counted.

    Raises:
        InputError: it was changed, removed or cannot be read.
    """
    if remote.is_remote(file):
        from pretrain.download.remote_copies import open_copy

        return open_copy(file)
    path = require_unchanged(file)
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the file and its permissions") from error


def read_small(file: ExternalFile) -> bytes:
    """The bytes of a small local file; what is checked is what is returned.

    Raises:
        InputError: it was changed, removed or cannot be read.
    """
    path = Path(file.location)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; put it back and run again") from error
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != file.identity:
        raise InputError(f"{path} was changed while the run was on its way: run the same command again")
    return data


def chunks(file: ExternalFile) -> Iterator[bytes]:
    """The decompressed content in pieces of about 1 MiB.

    Raises:
        UnreadableContentError: after the last good byte: `truncated_file`, `bad_checksum`, `damaged_file`,
            `bad_ratio` (it swells like a bomb) or `needs_too_much_memory` (a zstd window over 128 MiB).
        InputError: it was changed, removed or cannot be read.
        StageError: a remote file could not be read to its end.
    """
    with open_raw(file) as raw:
        pieces = _raw_chunks(raw, file)
        first = next(pieces, b"")
        codec = _codec(first)
        if codec is None:
            if _is_cut_magic(first, file.name):
                yield b""  # as of any other file, its first piece can be had
                raise UnreadableContentError("truncated_file")
            yield first
            yield from pieces
        else:
            yield from _in_chunks(_decompressed(first, pieces, codec))


def is_compressed(first: bytes) -> bool:
    """Whether a file that begins with these bytes (six at least) is gzip, zstd, bzip2 or xz."""
    return _codec(first) is not None


def _codec(first: bytes) -> _Codec | None:
    return next((codec for codec in _CODECS if first.startswith(codec.magic)), None)


def _is_cut_magic(content: bytes, name: str) -> bool:
    """Whether a file that is compressed by its name holds the beginning of that at most, as a failed copy may."""
    return name.lower().endswith((*COMPRESSION_SUFFIXES, ".tgz")) and any(
        codec.magic.startswith(content) for codec in _CODECS
    )


def _raw_chunks(raw: BinaryIO, file: ExternalFile) -> Iterator[bytes]:
    while True:
        try:
            chunk = raw.read(CHUNK_BYTES)
        except Exception as error:
            raise remote.reading_error(file, error) from None
        if not chunk:
            return
        yield chunk


def _decompressed(first: bytes, rest: Iterator[bytes], codec: _Codec) -> Iterator[bytes]:
    decoder = codec.decoder()
    is_open = True  # inside a member
    num_in = num_out = 0
    for piece in _pieces(itertools.chain([first], rest)):
        data = piece
        num_in += len(piece)
        while data:
            if not is_open:
                data = data.lstrip(b"\0")  # tape and block padding after a member
                if not data:
                    break
                decoder, is_open = codec.decoder(), True
            for output in decode_piece(decoder, data):
                yield output
                num_out += len(output)
                require_ratio(num_in, num_out)
            data = decoder.unused_data if decoder.eof else b""
            is_open = not decoder.eof
    if is_open:
        raise UnreadableContentError("truncated_file")


def require_ratio(num_in: int, num_out: int) -> None:
    """Raises UnreadableContentError, `bad_ratio`, where so many bytes swelled to so many as only a bomb does."""
    if num_out > RATIO_FREE_BYTES and num_out > MAX_RATIO * num_in:
        raise UnreadableContentError("bad_ratio")


def decode_piece(decoder: Any, data: bytes) -> Iterator[bytes]:
    """What a decompressor makes of a few KiB more; what lies before a bad byte comes before the error.

    Raises:
        UnreadableContentError: `bad_checksum`, `damaged_file` or `needs_too_much_memory`.
    """
    before = decoder.copy() if hasattr(decoder, "copy") else None  # gzip only: the others cannot go back
    has_limit = hasattr(decoder, "needs_input")  # bzip2 and xz, whose 4 KiB may swell to gigabytes
    try:
        yield decoder.decompress(data, CHUNK_BYTES) if has_limit else decoder.decompress(data)
        while has_limit and not decoder.needs_input and not decoder.eof:
            yield decoder.decompress(b"", CHUNK_BYTES)
    except _DECODER_ERRORS as error:
        if before is not None:
            yield _salvaged(before, data)
        raise UnreadableContentError(_reason(str(error))) from error


def _reason(message: str) -> str:
    if any(text in message for text in _CHECKSUM_MESSAGES):
        return "bad_checksum"
    return "needs_too_much_memory" if "emory" in message else "damaged_file"


def _salvaged(decoder: Any, data: bytes) -> bytes:
    """What `data` holds before its first bad byte: zlib drops the output of the call that fails."""
    good = b""
    try:
        for index in range(len(data)):
            good += decoder.decompress(data[index : index + 1])
    except zlib.error:
        return good
    return good


def _pieces(chunks_in: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks_in:
        for start in range(0, len(chunk), PIECE_BYTES):
            yield chunk[start : start + PIECE_BYTES]


def _in_chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Joins small pieces to chunks; on an error, what came before it is delivered first."""
    held: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size >= CHUNK_BYTES:
                yield b"".join(held)
                held, size = [], 0
    except UnreadableContentError:
        yield b"".join(held)
        raise
    yield b"".join(held)
