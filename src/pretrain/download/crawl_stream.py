"""The decompressed bytes of a crawl file as one forward stream, which can go on after damage.

Crawlers compress each record as a gzip member of its own (WARC 1.1, annex D), so that damage to one member need not
cost those after it: the stream looks for the next member that begins a record. Other compressions end at the damage.
"""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from pretrain.download.content import (
    CHUNK_BYTES,
    PIECE_BYTES,
    UnreadableContentError,
    chunks,
    decode_piece,
    open_raw,
    require_ratio,
)
from pretrain.download.records import byte_place
from pretrain.download.remote import reading_error
from pretrain.external import ExternalFile

_GZIP_MAGIC = b"\x1f\x8b\x08"
# A decoder that lost its way notices within a few KiB; the member after the damage may lie behind where it noticed.
_LOOK_BACK_BYTES = 64 << 10
# Each search reads on from where the last ended, but a file of nothing but traps is not worth more than this.
_MAX_SEARCHES = 1000
_HEAD_BYTES = 16


class Offset(NamedTuple):
    """Where a byte is.

    Attributes:
        file: its byte in the file, or where its gzip member begins (what CDX indexes name). For zstd, bzip2 and xz:
            its byte in the decompressed content.
        member: its decompressed byte within that member; 0 for files that are not gzip.
    """

    file: int
    member: int

    @property
    def place(self) -> str:
        """`+1234`, or `+1234/56` inside a gzip member."""
        return byte_place(self.file, self.member)


class CrawlStream:
    """Reads forward. Use as a context manager.

    Reading raises UnreadableContentError once, after the last good byte of the damaged place; what follows is then
    the end of the file until `find_member` finds more.

    Raises:
        InputError: the file was changed, removed or cannot be read.
        StageError: a remote file could not be read to its end.
    """

    def __init__(self, file: ExternalFile) -> None:
        self._file = file
        self._raw = open_raw(file)
        self.is_gzip = self._read_raw(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        self._raw.seek(0)
        self._pieces = self._gzip_pieces(0) if self.is_gzip else chunks(file)
        self._member_start = 0  # in the file
        self._member_read = 0  # decompressed bytes before the buffer, of the member or of the file
        self._fed_at = 0  # in the file: where the piece begins that was decompressed last
        self._buffer = b""
        self._at = 0
        self._num_searches = 0

    def __enter__(self) -> "CrawlStream":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._raw.close()

    @property
    def offset(self) -> Offset:
        """Where the last byte before the next one was; of the next one after a call of `peek`."""
        here = self._member_read + self._at
        return Offset(self._member_start, here) if self.is_gzip else Offset(here, 0)

    def peek(self) -> bool:
        """Whether there is another byte."""
        while self._at == len(self._buffer):
            self._member_read += len(self._buffer)
            self._buffer, self._at = b"", 0
            piece = next(self._pieces, None)
            if piece is None:
                return False
            self._buffer = piece
        return True

    def read(self, length: int) -> bytes:
        """At most `length` bytes, fewer where that is convenient; none at the end."""
        if not self.peek():
            return b""
        data = self._buffer[self._at : self._at + length]
        self._at += len(data)
        return data

    def readline(self, length: int) -> bytes:
        """A line with its end, or its first `length` bytes; none at the end."""
        parts: list[bytes] = []
        while length > 0 and self.peek():
            end = self._buffer.find(b"\n", self._at, self._at + length)
            stop = end + 1 if end >= 0 else self._at + length
            data = self._buffer[self._at : stop]
            parts.append(data)
            self._at += len(data)
            length = 0 if end >= 0 else length - len(data)
        return b"".join(parts)

    def find_member(self, beginnings: tuple[bytes, ...]) -> bool:
        """After damage: goes on at the next gzip member whose content begins like this; whether there is one."""
        if not self.is_gzip or self._num_searches >= _MAX_SEARCHES:
            return False
        self._num_searches += 1
        start = max(self._member_start + 1, self._fed_at - _LOOK_BACK_BYTES)
        for candidate in self._candidates(start):
            if self._head(candidate).startswith(beginnings):
                self._begin(candidate)
                self._pieces = self._gzip_pieces(candidate)
                return True
        return False

    def _begin(self, start: int) -> None:
        self._member_start, self._member_read = start, 0
        self._buffer, self._at = b"", 0

    def _gzip_pieces(self, start: int) -> Iterator[bytes]:
        """Decompressed pieces, none of which is of two members."""
        self._raw.seek(start)
        decoder = zlib.decompressobj(wbits=31)
        is_open = True
        num_in = num_out = 0
        while data := self._read_raw(PIECE_BYTES):
            self._fed_at = self._raw.tell() - len(data)
            num_in += len(data)
            while data:
                if not is_open:
                    data = data.lstrip(b"\0")  # tape and block padding after a member
                    if not data:
                        break
                    decoder, is_open = zlib.decompressobj(wbits=31), True
                    self._begin(self._raw.tell() - len(data))
                for output in decode_piece(decoder, data):
                    num_out += len(output)
                    require_ratio(num_in, num_out)
                    yield output
                data = decoder.unused_data if decoder.eof else b""
                is_open = not decoder.eof
        if is_open:
            raise UnreadableContentError("truncated_file")

    def _candidates(self, start: int) -> Iterator[int]:
        """Places of the gzip magic from `start` on."""
        self._raw.seek(start)
        tail = b""
        while chunk := self._read_raw(CHUNK_BYTES):
            data = tail + chunk
            first = self._raw.tell() - len(data)
            found = data.find(_GZIP_MAGIC)
            while found >= 0:
                resume_at = self._raw.tell()
                yield first + found
                self._raw.seek(resume_at)
                found = data.find(_GZIP_MAGIC, found + 1)
            tail = data[-len(_GZIP_MAGIC) + 1 :]

    def _head(self, start: int) -> bytes:
        self._raw.seek(start)
        try:
            return zlib.decompressobj(wbits=31).decompress(self._read_raw(PIECE_BYTES), _HEAD_BYTES)
        except zlib.error:
            return b""

    def _read_raw(self, num_bytes: int) -> bytes:
        try:
            return self._raw.read(num_bytes)
        except Exception as error:
            raise reading_error(self._file, error) from None
