"""Arrow IPC: files (Feather V2 is one) and streams, compressed inside (lz4, zstd) or not.

What is out of the ordinary, beside what pretrain.download.tables says, and its outcome:

    Feather V1, which pyarrow gives up               feather_v1: write it again as V2
    no Arrow file                                    unknown_format
    a file without its footer                        its batches up to the cut, then truncated_file or damaged_file
    bytes behind the end of a stream                 its batches, then damaged_file
    a batch that cannot be read                      damaged_batch, one ledger row; positions count it as one row
    a row whose bytes contradict themselves          damaged_row
    a batch with more rows than the file can mean    bad_ratio, one ledger row
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from pretrain.download.config import Source
from pretrain.download.content import UnreadableContentError
from pretrain.download.fields import unique_names
from pretrain.download.random_access import local_content
from pretrain.download.records import Record, Unreadable, row_place
from pretrain.download.tables import DAMAGE, max_rows, read_rows, wanted_columns
from pretrain.external import ExternalFile

ARROW_FILE_MAGIC = b"ARROW1"
FEATHER_V1_MAGIC = b"FEA1"
# A message of a stream: continuation marker, then the length of its metadata (Arrow columnar format, IPC).
ARROW_STREAM_MAGIC = b"\xff\xff\xff\xff"
_UNREADABLE = (*DAMAGE, UnicodeDecodeError)
_FILE_HEADER_BYTES = 8  # the magic, padded; a stream follows

# A record batch, or the reason why it cannot be read; after `truncated_file` and `damaged_file` nothing follows.
_Batch = Any


def read_arrow(file: ExternalFile, source: Source) -> Iterator[Record | Unreadable]:
    """The records of an Arrow file or stream; positions are row numbers from 0."""
    try:
        with local_content(file) as path:
            yield from _read(path, source)
    except UnreadableContentError as error:
        yield Unreadable(0, "", str(error))


def _read(path: Path, source: Source) -> Iterator[Record | Unreadable]:
    size = path.stat().st_size
    with path.open("rb") as raw:
        first = raw.read(_FILE_HEADER_BYTES)
    is_file = first.startswith(ARROW_FILE_MAGIC)
    if not is_file and not first.startswith(ARROW_STREAM_MAGIC):
        yield Unreadable(0, "", "feather_v1" if first.startswith(FEATHER_V1_MAGIC) else "unknown_format")
        return
    with pa.OSFile(str(path)) as content:  # a mapped file would count as memory, page by page
        try:
            names, batches = _open(content, is_file, source)
        except _UNREADABLE:
            yield Unreadable(0, "", "damaged_file")
            return
        position = 0
        for batch in batches:
            reason = batch if isinstance(batch, str) else _reason_against(batch, max_rows(size))
            if reason is not None:
                yield Unreadable(position, row_place(position), reason)
                position += 1
            else:
                columns = batch if names else batch.select([])  # to ask pyarrow for no column is to ask for all
                yield from _sound_rows(columns, names, position)
                position += batch.num_rows


def _open(content: pa.NativeFile, is_file: bool, source: Source) -> tuple[list[str], Iterator[_Batch]]:
    """The names of the columns to read, and the batches with these columns."""
    if is_file:
        try:
            with pa.ipc.open_file(content) as whole:
                names = unique_names(whole.schema.names)
            wanted = wanted_columns(names, source)
            reader = pa.ipc.open_file(content, options=_options(wanted))
            return [names[index] for index in wanted], _file_batches(reader)
        except _UNREADABLE:
            pass  # a stream lies behind the magic, with all batches up to a cut
    reason_of_end = _reason_of_no_footer(content) if is_file else None
    start = _FILE_HEADER_BYTES if is_file else 0
    content.seek(start)
    with pa.ipc.open_stream(content) as whole:
        names = unique_names(whole.schema.names)
    content.seek(start)
    wanted = wanted_columns(names, source)
    reader = pa.ipc.open_stream(content, options=_options(wanted))
    return [names[index] for index in wanted], _stream_batches(reader, content, reason_of_end)


def _options(columns: list[int]) -> pa.ipc.IpcReadOptions:
    return pa.ipc.IpcReadOptions(included_fields=columns, use_threads=False)


def _file_batches(reader: pa.ipc.RecordBatchFileReader) -> Iterator[_Batch]:
    for index in range(reader.num_record_batches):
        try:
            yield reader.get_batch(index)
        except _UNREADABLE:
            yield "damaged_batch"


def _stream_batches(
    reader: pa.ipc.RecordBatchStreamReader, content: pa.NativeFile, reason_of_end: str | None
) -> Iterator[_Batch]:
    while True:
        try:
            yield reader.read_next_batch()
        except StopIteration:
            break
        except _UNREADABLE as error:
            is_cut = any(text in str(error) for text in ("Expected to", "bytes available"))
            yield reason_of_end or ("truncated_file" if is_cut else "damaged_file")
            return
    if reason_of_end is None and content.tell() < content.size():
        reason_of_end = "damaged_file"  # a wrong length led to bytes that look like the end of the stream
    if reason_of_end is not None:
        yield reason_of_end


def _reason_of_no_footer(content: pa.NativeFile) -> str:
    content.seek(max(0, content.size() - len(ARROW_FILE_MAGIC)))
    return "damaged_file" if content.read() == ARROW_FILE_MAGIC else "truncated_file"


def _reason_against(batch: pa.RecordBatch, num_rows: int) -> str | None:
    """Why no row of a batch can be read, or None; `num_rows` is the most that can be believed."""
    if batch.num_rows > num_rows:
        return "bad_ratio"
    try:
        batch.validate()
    except _UNREADABLE:
        return "damaged_batch"
    return None


def _sound_rows(batch: pa.RecordBatch, names: list[str], start: int) -> Iterator[Record | Unreadable]:
    """The rows of a batch, which nothing but this vouches for: IPC has no checksums, and offsets are addresses."""
    try:
        batch.validate(full=True)
    except _UNREADABLE as error:
        if batch.num_rows > 1:
            half = batch.num_rows // 2
            yield from _sound_rows(batch.slice(0, half), names, start)
            yield from _sound_rows(batch.slice(half), names, start + half)
        else:
            yield Unreadable(start, row_place(start), "invalid_utf8" if "UTF8" in str(error) else "damaged_row")
    else:
        yield from read_rows(batch, names, start)
