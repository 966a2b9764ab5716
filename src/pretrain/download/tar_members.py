"""The files in a tar archive, read as a stream in bounded memory, without a path ever being written.

Headers are parsed by the standard library one block at a time. Its reader of whole archives is not used: it keeps
every member, reads a header of any length, and takes a damaged header in the middle for the end of the archive.

Known: ustar, GNU (long names), pax (names and sizes), old tar. Kinds of members: posix 1003.1, `pax`, section
"ustar Interchange Format"; type `S` (sparse) is GNU's.
"""

import re
import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from pretrain.download.content import UnreadableContentError

# Names and comments of a header: 4096 is the longest path of Linux.
_MAX_HEADER_BYTES = 1 << 20
_PAX_TYPES = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_PAX_RECORD = re.compile(rb"(\d{1,10}) ([^=\n]+)=")
_LINK_TYPES = {tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "link"}
_DEVICE_TYPES = {tarfile.CHRTYPE: "device", tarfile.BLKTYPE: "device", tarfile.FIFOTYPE: "device"}
# Their headers have no content behind them, whatever size they state.
_WITHOUT_CONTENT = {**_LINK_TYPES, **_DEVICE_TYPES, tarfile.DIRTYPE: "folder"}
_NO_MEMBERS = (tarfile.DIRTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK)
_MAGIC_OFFSET = 257
_SPARSE_EXTENDED, _SPARSE_EXTENDED_AGAIN = 482, 504  # offsets of GNU's flags that one more block of the map follows


class Member(NamedTuple):
    """One file of an archive.

    Attributes:
        name: its path as written there: a text that nothing opens; bytes that are not UTF-8 as lone surrogates.
        data: its content, or None.
        reason: why there is none.
        is_file: whether it is a file at all; a link or a device is none.
    """

    name: str
    data: bytes | None
    reason: str | None = None
    is_file: bool = True


def is_tar(first: bytes) -> bool:
    """Whether content that begins with these bytes is a tar archive: by its magic, or else by a sound header."""
    if first[_MAGIC_OFFSET:].startswith(b"ustar"):
        return True
    try:
        _parse_header(first[: tarfile.BLOCKSIZE])
    except UnreadableContentError:
        return False
    return True


class ByteStream:
    """Content that comes in pieces, read by number of bytes."""

    def __init__(self, content: Iterator[bytes]) -> None:
        self._content = content
        self._piece = memoryview(b"")

    def read(self, num_bytes: int) -> bytes:
        """The next bytes, fewer only at the end of the content."""
        return b"".join(self._pieces(num_bytes))

    def skip(self, num_bytes: int) -> int:
        """Passes over the next bytes; how many there were."""
        return sum(len(piece) for piece in self._pieces(num_bytes))

    def _pieces(self, num_bytes: int) -> Iterator[memoryview]:
        while num_bytes > 0:
            if not self._piece:
                piece = next(self._content, None)
                if piece is None:
                    return
                self._piece = memoryview(piece)
            taken = self._piece[:num_bytes]
            self._piece = self._piece[len(taken) :]
            num_bytes -= len(taken)
            yield taken


def tar_members(content: Iterator[bytes], max_bytes: int) -> Iterator[Member]:
    """The members of an archive but folders; those over `max_bytes` without data.

    Raises:
        UnreadableContentError: after the last whole member: `truncated_file`, `damaged_file`, `too_large` (a header
            that no archive needs), or what the content raises.
    """
    stream = ByteStream(content)
    is_ended = False
    extra: dict[str, str] = {}  # what headers say about the next member
    while block := stream.read(tarfile.BLOCKSIZE):
        is_ended = not any(block)  # two such blocks end an archive; padding or another archive may follow
        if is_ended:
            continue
        info = _parse_header(block)
        if info.type in _PAX_TYPES or info.type == tarfile.GNUTYPE_LONGNAME:
            if info.size > _MAX_HEADER_BYTES:
                raise UnreadableContentError("too_large")
            data = _read_padded(stream, info.size, _MAX_HEADER_BYTES) or b""
            extra |= _pax_fields(data) if info.type in _PAX_TYPES else {"path": _text(data.split(b"\0")[0])}
        elif info.type in _NO_MEMBERS:
            _read_padded(stream, 0 if info.type == tarfile.DIRTYPE else info.size, 0)
            extra = {} if info.type == tarfile.DIRTYPE else extra
        else:
            yield _read_member(stream, block, info, extra, max_bytes)
            extra = {}
    if not is_ended:
        raise UnreadableContentError("truncated_file")


def _parse_header(block: bytes) -> tarfile.TarInfo:
    if len(block) < tarfile.BLOCKSIZE:
        raise UnreadableContentError("truncated_file")
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise UnreadableContentError("damaged_file") from error
    if info.size < 0:
        raise UnreadableContentError("damaged_file")
    return info


def _read_member(
    stream: ByteStream, block: bytes, info: tarfile.TarInfo, extra: dict[str, str], max_bytes: int
) -> Member:
    name = extra.get("path", info.name)
    if info.type in _WITHOUT_CONTENT:
        return Member(name, None, _WITHOUT_CONTENT[info.type], is_file=False)
    size = int(extra["size"]) if extra.get("size", "").isdecimal() else info.size
    is_sparse = info.type == tarfile.GNUTYPE_SPARSE
    has_more = is_sparse and block[_SPARSE_EXTENDED]
    while has_more:
        block = stream.read(tarfile.BLOCKSIZE)
        has_more = len(block) == tarfile.BLOCKSIZE and block[_SPARSE_EXTENDED_AGAIN]
    if is_sparse or any(key.startswith("GNU.sparse.") for key in extra):
        _read_padded(stream, size, 0)
        return Member(name, None, "sparse_file")
    data = _read_padded(stream, size, max_bytes)
    return Member(name, data, "too_large" if data is None else None)


def _read_padded(stream: ByteStream, num_bytes: int, max_bytes: int) -> bytes | None:
    """Content and its padding to whole blocks; None, passed over, where it is longer than `max_bytes`."""
    data = stream.read(num_bytes) if num_bytes <= max_bytes else None
    if num_bytes != (stream.skip(num_bytes) if data is None else len(data)):
        raise UnreadableContentError("truncated_file")
    stream.skip(-num_bytes % tarfile.BLOCKSIZE)
    return data


def _pax_fields(data: bytes) -> dict[str, str]:
    """The records `<length> <key>=<value>` of a pax header; what is no such record ends them."""
    fields = {}
    at = 0
    while record := _PAX_RECORD.match(data, at):
        end = at + int(record[1])
        if end <= record.end():
            break
        fields[_text(record[2])] = _text(data[record.end() : end - 1])
        at = end
    return fields


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
