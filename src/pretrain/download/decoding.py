"""Bytes of text files as text, by the encoding that the recipe names. Nothing is guessed and nothing replaced."""

import codecs
from collections.abc import Iterator

from pretrain.download.config import Encoding
from pretrain.download.content import BYTE_ORDER_MARK, UnreadableContentError
from pretrain.download.records import UnusableRecordError


def ascii_compatible(content: Iterator[bytes], encoding: Encoding) -> tuple[Iterator[bytes], Encoding]:
    """Content in which ASCII bytes are ASCII characters, without byte order mark, and the encoding it then has.

    UTF-16 becomes UTF-8, in which a lone surrogate stays what it is: invalid.
    The content raises UnreadableContentError, `truncated_file`, where UTF-16 ends within a character.
    """
    if encoding == "utf-16":
        return _without_mark(_utf8_of_utf16(content)), "utf-8"
    return _without_mark(content) if encoding == "utf-8" else content, encoding


def decode_text(data: bytes, encoding: Encoding) -> str:
    """The text of a record.

    Raises:
        UnusableRecordError: `invalid_utf8`, or `invalid_encoding` for another encoding.
    """
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise UnusableRecordError("invalid_utf8" if encoding == "utf-8" else "invalid_encoding") from None


def _without_mark(content: Iterator[bytes]) -> Iterator[bytes]:
    yield next(content, b"").removeprefix(BYTE_ORDER_MARK)
    yield from content


def _utf8_of_utf16(content: Iterator[bytes]) -> Iterator[bytes]:
    first = next(content, b"")
    encoding = "utf-16-be" if first.startswith(codecs.BOM_UTF16_BE) else "utf-16-le"
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    yield decoder.decode(first).encode("utf-8", "surrogatepass")
    for chunk in content:
        yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
    try:
        yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise UnreadableContentError("truncated_file") from None
