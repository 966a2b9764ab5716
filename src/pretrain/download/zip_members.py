"""The files in a zip archive, read as streams in bounded memory, without a path ever being written."""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pretrain.download.content import CHUNK_BYTES, MAX_RATIO, RATIO_FREE_BYTES, UnreadableContentError
from pretrain.download.tar_members import Member

ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")  # the second: an archive without members
# The library holds the whole directory, about 1 KB a member.
MAX_MEMBERS = 500_000
# APPNOTE.TXT 6.3.10, 4.3.16 and 4.3.14: ends of the directory, the second that of zip64.
_END = b"PK\x05\x06"
_END_64 = b"PK\x06\x06"
_END_SEARCH_BYTES = (1 << 16) + 200  # a comment of 64 KiB and both ends
_COUNT_MODULUS = 1 << 16  # the end has two bytes for the number, and writers without zip64 let it wrap
_ENCRYPTED = 0x1
_DIRECTORY_ENTRY_BYTES = 46
_UNIX_FILE_TYPES = {0o120000: "link", 0o020000: "device", 0o060000: "device", 0o010000: "device"}
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, struct.error, ValueError)


def zip_members(path: Path, max_bytes: int) -> Iterator[Member]:
    """The members of an archive but folders, in the order of its directory; those over `max_bytes` without data.

    Raises:
        UnreadableContentError: before the first member: `truncated_file` (the directory is at the end),
            `damaged_file`, `too_many_members`; after one: `bad_ratio`, as they swell like a bomb; after the last:
            `damaged_file`, as the directory counts others than it names.
    """
    with path.open("rb") as raw:
        num_stated = _num_members(raw)
        try:
            archive = zipfile.ZipFile(raw)
        except (*_DAMAGE, NotImplementedError, UnicodeDecodeError) as error:
            raise UnreadableContentError("damaged_file") from error
        num_out = 0
        for info in archive.infolist():
            if not _is_folder(info):
                member = _read_member(archive, info, max_bytes)
                num_out += len(member.data or b"")
                if num_out > RATIO_FREE_BYTES and num_out > MAX_RATIO * path.stat().st_size:
                    raise UnreadableContentError("bad_ratio")
                yield member
        # A damaged length in an entry hides those behind it, and the library does not count.
        if (len(archive.infolist()) - num_stated) % _COUNT_MODULUS:
            raise UnreadableContentError("damaged_file")


def _is_folder(info: zipfile.ZipInfo) -> bool:
    """Whether an entry is a folder; the library cuts its name at a NUL, and has folders with content."""
    return info.orig_filename.endswith("/") and not info.file_size


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int) -> Member:
    kind = _UNIX_FILE_TYPES.get(info.external_attr >> 16 & 0o170000)
    if kind is not None:
        return Member(info.orig_filename, None, kind, is_file=False)
    if info.flag_bits & _ENCRYPTED:
        return Member(info.orig_filename, None, "encrypted_file")
    if info.file_size > max_bytes:
        return Member(info.orig_filename, None, "too_large")
    held = bytearray()
    try:
        with archive.open(info) as content:
            while chunk := content.read(CHUNK_BYTES):
                held += chunk
                if len(held) > max_bytes:
                    return Member(info.orig_filename, None, "too_large")
    except NotImplementedError:
        return Member(info.orig_filename, None, "unknown_compression")
    except _DAMAGE as error:
        return Member(info.orig_filename, None, "bad_checksum" if "CRC" in str(error) else "damaged_file")
    return Member(info.orig_filename, bytes(held))


def _num_members(raw: BinaryIO) -> int:
    """How many entries the directory is said to have, modulo 65536.

    Raises:
        UnreadableContentError: there is no directory, or one that would not fit into memory.
    """
    size = raw.seek(0, 2)
    raw.seek(max(0, size - _END_SEARCH_BYTES))
    tail = raw.read()
    raw.seek(0)
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        raise UnreadableContentError("truncated_file")
    num_members = int.from_bytes(tail[at + 10 : at + 12], "little")
    num_bytes = int.from_bytes(tail[at + 12 : at + 16], "little")
    at_64 = tail.rfind(_END_64, 0, at)
    if at_64 >= 0:
        num_members = int.from_bytes(tail[at_64 + 32 : at_64 + 40], "little")
        num_bytes = int.from_bytes(tail[at_64 + 40 : at_64 + 48], "little")
    if num_bytes > MAX_MEMBERS * _DIRECTORY_ENTRY_BYTES * 3:
        raise UnreadableContentError("too_many_members")
    return num_members
