r"""Plain text: one document a file, or one between two `separator`s.

What is out of the ordinary, and its outcome:

    a piece of white space alone, an empty file    no record; positions count it
    byte order mark at the start                   ignored
    CRLF, CR, NUL, U+2028                          text; a separator "\n" leaves the CR of CRLF out
    not UTF-8                                      invalid_utf8 for that piece alone
    not of another named encoding                  invalid_encoding for that piece alone
    a piece of more than 64 MiB                    too_large
    UTF-16 that ends within a character            truncated_file for the last piece
    a piece cut by the end of a broken archive     truncated_file, bad_checksum or damaged_file
"""

from collections.abc import Iterator

from pretrain.download.config import Source
from pretrain.download.content import chunks
from pretrain.download.decoding import ascii_compatible, decode_text
from pretrain.download.records import MAX_RECORD_BYTES, Record, Unreadable, UnusableRecordError, line_place
from pretrain.download.splitting import split
from pretrain.external import ExternalFile


def read_text(file: ExternalFile, source: Source) -> Iterator[Record | Unreadable]:
    """The documents of a text file; positions are the numbers of pieces from 0, places the lines they start in."""
    content, encoding = ascii_compatible(chunks(file), source.encoding)
    separator = None if source.separator is None else source.separator.encode(encoding)
    pieces = split(content, separator, MAX_RECORD_BYTES)
    for position, piece in enumerate(pieces):
        place = line_place(piece.line)
        if piece.data is None:
            yield Unreadable(position, place, str(piece.reason))
        elif piece.data.strip():
            data = piece.data.removesuffix(b"\r") if separator == b"\n" else piece.data
            try:
                yield Record(position, place, {source.text_key: decode_text(data, encoding)})
            except UnusableRecordError as error:
                yield Unreadable(position, place, str(error))
