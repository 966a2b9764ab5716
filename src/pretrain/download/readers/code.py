"""Source code: one document a file, plain or in tar and zip archives (compressed or not), which are never unpacked.

The record has `path` (the name of the file, or of the member as the archive states it) and `language`.

What is out of the ordinary, and its outcome; what is skipped is no sign of a damaged source:

    NUL in the first 8000 bytes (git's test)       binary_file, skipped
    nothing but white space                        empty_file, skipped
    a link or device in an archive                 link, device: skipped; folders are no records
    hostile member names (`../`, absolute, NUL)    text in metadata: no path is ever made of them
    not UTF-8, or not of the named encoding        invalid_utf8, invalid_encoding
    a file of more than 64 MiB                     too_large
    an encrypted or sparse member                  encrypted_file, sparse_file
    an unknown compression inside a zip            unknown_compression
    a damaged member of a zip                      bad_checksum or damaged_file for that member alone
    an archive that ends early                     its members before the cut, then truncated_file
    a damaged header in a tar                      its members before, then damaged_file
    a directory of a zip that hides members        those it names, then damaged_file
    `.tar`, `.tgz` or `.zip` that is none          damaged_file
    a bomb                                         too_large or bad_ratio; a zip of more than 500,000: too_many_members
"""

import itertools
from collections.abc import Iterator

from pretrain.download.config import Source
from pretrain.download.content import COMPRESSION_SUFFIXES, UnreadableContentError, chunks
from pretrain.download.decoding import ascii_compatible, decode_text
from pretrain.download.languages import language_of
from pretrain.download.random_access import local_content
from pretrain.download.records import MAX_RECORD_BYTES, ReadResult, Record, Skipped, Unreadable, UnusableRecordError
from pretrain.download.splitting import split
from pretrain.download.tar_members import Member, is_tar, tar_members
from pretrain.download.zip_members import ZIP_MAGICS, zip_members
from pretrain.external import ExternalFile

_NUL_SEARCH_BYTES = 8000  # git, xdiff-interface.c: buffer_is_binary
_ARCHIVE_SUFFIXES = (".tar", ".tgz", ".zip")
_SHOWN_CHARS = 200


def read_code(file: ExternalFile, source: Source) -> Iterator[ReadResult]:
    """The files of an archive, in its order, or the file itself; positions are their numbers from 0."""
    position = 0
    try:
        for member, place in _members(file):
            yield _result(member, position, place, source)
            position += 1
    except UnreadableContentError as error:
        yield Unreadable(position, "", str(error))


def _is_archive_name(name: str) -> bool:
    """Whether a file is called an archive, with or without the suffix of a compression."""
    name = name.lower()
    for suffix in COMPRESSION_SUFFIXES:
        name = name.removesuffix(suffix)
    return name.endswith(_ARCHIVE_SUFFIXES)


def _members(file: ExternalFile) -> Iterator[tuple[Member, str]]:
    """The members of an archive, or the file as the only one, each with its place in the file."""
    content = chunks(file)
    first = next(content, b"")
    if first.startswith(ZIP_MAGICS):
        with local_content(file) as path:
            for member in zip_members(path, MAX_RECORD_BYTES):
                yield member, _shown(member.name)
    elif is_tar(first):
        for member in tar_members(itertools.chain([first], content), MAX_RECORD_BYTES):
            yield member, _shown(member.name)
    elif _is_archive_name(file.name):
        next(content, None)  # a broken compression says itself what it is
        raise UnreadableContentError("damaged_file")
    else:
        for piece in split(itertools.chain([first], content), None, MAX_RECORD_BYTES):
            yield Member(file.name, piece.data, piece.reason), ""


def _result(member: Member, position: int, place: str, source: Source) -> ReadResult:
    if not member.is_file:
        return Skipped(position, place, str(member.reason))
    if member.data is None:
        return Unreadable(position, place, str(member.reason))
    if source.encoding != "utf-16" and b"\0" in member.data[:_NUL_SEARCH_BYTES]:
        return Skipped(position, place, "binary_file")
    try:
        data, encoding = ascii_compatible(iter([member.data]), source.encoding)
        text = decode_text(b"".join(data), encoding)
    except (UnusableRecordError, UnreadableContentError) as error:
        return Unreadable(position, place, str(error))
    if not text or text.isspace():
        return Skipped(position, place, "empty_file")
    return Record(position, place, {source.text_key: text, "path": member.name, "language": language_of(member.name)})


def _shown(name: str) -> str:
    """`!src/main.c`, as evidence may show it: one line, no control characters, of a bounded length."""
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in name)
    return f"!{shown if len(shown) <= _SHOWN_CHARS else shown[:_SHOWN_CHARS] + '...'}"
