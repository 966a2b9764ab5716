"""Encoding one part of documents to one token shard, with the lengths of its documents beside it."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain.artifact import Artifact, PartRecord
from pretrain.documents import read_documents
from pretrain.sequences.encoder import Encoder, text_batches
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
    """

    shard: Artifact
    part: PartRecord
    tokenizer: Artifact
    dtype: str
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    place: TokenPart


def encode_part(files: UnitFiles, unit: EncodeUnit) -> Stats:
    """Unit: writes the token shard of a part, the lengths of its documents in order, and where each begins."""
    encoder = Encoder(unit.tokenizer.open_folder())  # a fresh one for each part: its word cache only grows
    tokens_by_source: dict[str, int] = {}
    num_documents = num_tokens = bytes_in = 0
    lengths_of_all: list[int] = []
    with (
        files.create(unit.place.path) as shard,
        shard.path.open("wb") as shard_file,
        files.create(unit.place.documents_path) as lengths_output,
        pq.ParquetWriter(lengths_output.path, DOCUMENTS_SCHEMA, compression="zstd") as lengths_writer,
    ):
        for batch in text_batches(read_documents(unit.shard.open_part(unit.part))):
            texts = [document.text for document in batch]
            framed = [[*unit.prefix, *ids, *unit.suffix] for ids in encoder.encode(texts)]
            tokens = flatten(framed, unit.dtype)
            shard_file.write(tokens.tobytes())  # unlike tofile, it says when no space is left
            lengths = [len(ids) for ids in framed]
            lengths_writer.write_batch(pa.record_batch([[d.id for d in batch], lengths], schema=DOCUMENTS_SCHEMA))
            for document, length in zip(batch, lengths, strict=True):
                tokens_by_source[document.source] = tokens_by_source.get(document.source, 0) + length
            lengths_of_all += lengths
            num_documents += len(batch)
            num_tokens += len(tokens)
            bytes_in += sum(len(text.encode()) for text in texts)
        lengths_output.rows = num_documents
    sizes = np.array(lengths_of_all, np.int64)
    with files.create(unit.place.borders_path) as output, output.path.open("wb") as borders_file:
        np.save(borders_file, np.cumsum(sizes) - sizes)
    return {
        "documents_in": num_documents,
        "bytes_in": bytes_in,
        "tokens": num_tokens,
        "tokens_by_source": tokens_by_source,
    }


def flatten(framed: list[list[int]], dtype: str) -> np.ndarray:
    """The ids of several documents one after another, little-endian."""
    total = sum(map(len, framed))
    return np.fromiter((token for ids in framed for token in ids), np.dtype(dtype).newbyteorder("<"), total)
