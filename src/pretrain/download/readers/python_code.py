"""One document for each Python source file, as scraped code: decoded as the interpreter would, unchanged."""

import codecs
import io
import tokenize
from collections.abc import Iterator

from pretrain.download.config import Source
from pretrain.download.content import read_small
from pretrain.download.records import Record, Unreadable
from pretrain.external import ExternalFile


def read_python_code(file: ExternalFile, source: Source) -> Iterator[Record | Unreadable]:
    """The file as one record with `path`, or `invalid_encoding`. Empty files hold no record."""
    data = read_small(file)
    if not data.strip():
        return
    text = decode_source(data)
    if text is None:
        yield Unreadable(0, "", "invalid_encoding")
    else:
        yield Record(0, "", {source.text_key: text, "path": file.name})


def decode_source(data: bytes) -> str | None:
    """Python source as text by its byte order mark or coding line (PEP 263); None where that is wrong."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return codecs.decode(data, encoding)
    except (SyntaxError, ValueError, LookupError):
        return None
