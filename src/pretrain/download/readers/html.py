"""Web pages as files: one page a file, its main text the document.

no main text in it                             no_main_text, skipped
not HTML by its first bytes (a PDF, a picture) not_html, skipped
more than 64 MiB                               too_large
the extractor takes too long, or dies of it    extract_timeout, extract_failed
cut by the end of a broken archive             truncated_file, bad_checksum or damaged_file
"""

from collections.abc import Iterator

from pretrain.download.config import Source
from pretrain.download.content import chunks
from pretrain.download.extraction import TextExtractor
from pretrain.download.records import MAX_RECORD_BYTES, ReadResult, Record, Skipped, Unreadable, UnusableRecordError
from pretrain.download.splitting import split
from pretrain.download.web_text import decode, media_type
from pretrain.external import ExternalFile


def read_html(file: ExternalFile, source: Source, extractor: TextExtractor) -> Iterator[ReadResult]:
    """The page of a file, as record 0."""
    for piece in split(chunks(file), None, MAX_RECORD_BYTES):
        if piece.data is None:
            yield Unreadable(0, "", str(piece.reason))
        elif media_type("text/html", piece.data) != "html":
            yield Skipped(0, "", "not_html")
        else:
            try:
                text = extractor.extract(decode(piece.data, None, is_html=True))
            except UnusableRecordError as error:
                yield Unreadable(0, "", str(error))
            else:
                yield Skipped(0, "", "no_main_text") if text is None else Record(0, "", {source.text_key: text})
