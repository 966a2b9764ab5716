r"""CSV and TSV: a header row with the names of the fields, then one record a row (RFC 4180).

What is out of the ordinary, and its outcome:

    newline, delimiter, two quotes in quotes        text; a quote inside an unquoted field too
    byte order mark at the start, CRLF              ignored; CRLF in quotes is text
    CR alone ends lines                             read so where the first MiB has no \n
    blank line                                      skipped; positions do not count it
    NUL                                             text
    more or fewer fields than the header            wrong_field_count
    two columns of one name                         the second is `name#2`
    not UTF-8, not of the named encoding            invalid_utf8, invalid_encoding for that record alone
    a header that is not UTF-8                      invalid_utf8 for the file
    a quote that nothing closes                     unclosed_quote for all that follows it
    a record of more than 64 MiB                    too_large
    a record cut by the end of a broken archive     truncated_file, bad_checksum or damaged_file

Every value is a string: nothing in the file tells a number from digits. An empty cell is an empty string.
"""

import itertools
from collections.abc import Iterator

from pretrain.download.config import Encoding, Source
from pretrain.download.content import chunks
from pretrain.download.csv_rows import Row, csv_rows
from pretrain.download.decoding import ascii_compatible, decode_text
from pretrain.download.fields import unique_names
from pretrain.download.records import MAX_RECORD_BYTES, Record, Unreadable, UnusableRecordError, line_place
from pretrain.download.splitting import split
from pretrain.external import ExternalFile


def read_delimited(file: ExternalFile, source: Source) -> Iterator[Record | Unreadable]:
    """The records of a CSV file; positions are numbers of records from 0, places the lines they start in."""
    content, encoding = ascii_compatible(chunks(file), source.encoding)
    first = next(content, b"")
    newline = b"\r" if b"\r" in first and b"\n" not in first else b"\n"
    lines = split(itertools.chain([first], content), newline, MAX_RECORD_BYTES)
    rows = csv_rows(lines, None if source.delimiter == "auto" else source.delimiter.encode())
    header = next(rows, None)
    if header is None:
        return
    try:
        names = unique_names(_values(header, encoding))
    except UnusableRecordError as error:
        yield Unreadable(0, line_place(header.line), str(error))
        return
    for position, row in enumerate(rows):
        yield _record(row, position, names, encoding)


def _record(row: Row, position: int, names: list[str], encoding: Encoding) -> Record | Unreadable:
    place = line_place(row.line)
    try:
        values = _values(row, encoding)
        if len(values) != len(names):
            raise UnusableRecordError("wrong_field_count")
    except UnusableRecordError as error:
        return Unreadable(position, place, str(error))
    return Record(position, place, dict(zip(names, values, strict=True)))


def _values(row: Row, encoding: Encoding) -> list[str]:
    if row.fields is None:
        raise UnusableRecordError(row.reason)
    return [decode_text(field, encoding) for field in row.fields]
