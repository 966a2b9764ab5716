"""Encoding one part of documents to one token shard, with the lengths of its documents beside it."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pretrain.artifact import Artifact, PartRecord
from pretrain.documents import ROW_GROUP_DOCUMENTS
from pretrain.sequences.batch_encoder import (
    BatchEncoder,
    EncodersDiffer,
    PlainBatchEncoder,
    Tokens,
    open_batch_encoder,
)
from pretrain.sequences.encoder import Encoder
from pretrain.sequences.index import TokenPart
from pretrain.stage import Stats, UnitFiles

DOCUMENTS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("num_tokens", pa.int64(), nullable=False),  # special tokens counted
    ]
)


class EncodeUnit(NamedTuple):
    """One part of documents and where its tokens go.

    `prefix` and `suffix` are the ids put before and after each document; `place` has the paths, and no counts yet.
    is_plain: by `tokenizers` alone, see `pretrain.sequences.batch_encoder`.
    """

    shard: Artifact
    part: PartRecord
    tokenizer: Artifact
    dtype: str
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    place: TokenPart
    is_plain: bool = False


def encode_part(files: UnitFiles, unit: EncodeUnit) -> Stats:
    """Unit: writes the token shard of a part, the lengths of its documents in order, and where each begins.

    Returns:
        `documents_in`, `bytes_in`, `tokens`, `tokens_by_source`; `documents_by_encoder`; and `encoders_differ`, 1
        where gigatoken was found to give other ids than `tokenizers` (the part is then by the latter).
    """
    folder = unit.tokenizer.open_folder()
    encoder: BatchEncoder = PlainBatchEncoder(Encoder(folder)) if unit.is_plain else open_batch_encoder(folder)
    try:
        return {**_encode(files, unit, encoder), "encoders_differ": 0}
    except EncodersDiffer:
        return {**_encode(files, unit, PlainBatchEncoder(Encoder(folder))), "encoders_differ": 1}


def _encode(files: UnitFiles, unit: EncodeUnit, encoder: BatchEncoder) -> Stats:
    tokens_by_source: dict[str, int] = {}
    lengths_of_all = [np.empty(0, np.int64)]
    bytes_in = 0
    with ExitStack() as stack:
        shard = stack.enter_context(files.create(unit.place.path))
        shard_file = stack.enter_context(shard.open())
        listing = stack.enter_context(files.create(unit.place.documents_path))
        listing_writer = stack.enter_context(pq.ParquetWriter(listing.path, DOCUMENTS_SCHEMA, compression="zstd"))
        for table in _tables(unit):
            tokens = framed(encoder.encode(table["text"].to_pylist()), unit.prefix, unit.suffix)
            shard_file.write(tokens.ids.astype(np.dtype(unit.dtype).newbyteorder("<")).data)
            listing_writer.write_table(pa.table([table["id"], tokens.lengths], schema=DOCUMENTS_SCHEMA))
            for source, count in _by_source(table["source"], tokens.lengths):
                tokens_by_source[source] = tokens_by_source.get(source, 0) + count
            lengths_of_all.append(tokens.lengths)
            bytes_in += pc.sum(pc.binary_length(table["text"])).as_py()
        lengths = np.concatenate(lengths_of_all)
        listing.rows = len(lengths)
    with files.create(unit.place.borders_path) as output, output.path.open("wb") as borders_file:
        np.save(borders_file, np.cumsum(lengths) - lengths)
    return {
        "documents_in": len(lengths),
        "bytes_in": bytes_in,
        "tokens": int(lengths.sum()),
        "tokens_by_source": tokens_by_source,
        "documents_by_encoder": {encoder.name: len(lengths)},
    }


def framed(tokens: Tokens, prefix: tuple[int, ...], suffix: tuple[int, ...]) -> Tokens:
    """The tokens with `prefix` before and `suffix` after those of every text."""
    before, after = np.array(prefix, np.uint32), np.array(suffix, np.uint32)
    pieces = [np.empty(0, np.uint32)]
    start = 0
    for stop in np.cumsum(tokens.lengths).tolist():
        pieces += (before, tokens.ids[start:stop], after)
        start = stop
    return Tokens(np.concatenate(pieces), tokens.lengths + len(prefix) + len(suffix))


def _tables(unit: EncodeUnit) -> Iterator[pa.Table]:
    """Some rows of the part at a time."""
    with pq.ParquetFile(unit.shard.open_part(unit.part)) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=["id", "text", "source"])
            for start in range(0, table.num_rows, ROW_GROUP_DOCUMENTS):
                yield table.slice(start, ROW_GROUP_DOCUMENTS)


def _by_source(sources: pa.ChunkedArray, lengths: NDArray[np.int64]) -> Iterator[tuple[str, int]]:
    encoded = sources.combine_chunks().dictionary_encode()
    indices = encoded.indices.to_numpy()
    for number, name in enumerate(encoded.dictionary.to_pylist()):
        yield name, int(lengths[indices == number].sum())
