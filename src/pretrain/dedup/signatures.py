"""What a document is compared by: `signatures/part-00000.parquet`, one row a document in input order.

Kept as part of the artifact: a later run over more documents reads it instead of hashing the texts again.

| column | type | is |
|---|---|---|
| `id`, `source` | string | as in the document |
| `text_bytes` | int64 | bytes of UTF-8 text |
| `num_words` | int64 | words of the whole text; a document without words has no near-duplicates |
| `exact_high`, `exact_low` | uint64 | 128-bit hash of the normalised text; only with `exact` on |
| `words_high`, `words_low` | uint64 | 128-bit hash of the sequence of word hashes; only with `minhash` on |
| `band_00` ... | uint64 | LSH keys; only with `minhash` on, meaningless where `num_words` is 0 |

112 bytes of band keys stand for 448 bytes of MinHash values: verification reads texts, so the values are
not needed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray

from pretrain.artifact import Artifact, PartRecord
from pretrain.dedup.config import DedupConfig, MinHashConfig
from pretrain.dedup.kernels import UInt64Array, band_keys, hash_words, minhash, ngram_hashes, permutations
from pretrain.dedup.normalization import text_digest
from pretrain.stage import Stats, UnitFiles, part_name

Int64Array = NDArray[np.int64]
ReadScratch = Callable[[str], Path]

EXACT_COLUMNS = ("exact_high", "exact_low")
WORDS_COLUMNS = ("words_high", "words_low")


class Corpus(NamedTuple):
    """The documents of the stage, numbered by arrival: row `i` of part `p` has index `starts[p] + i`.

    num_documents: rows of every part, in order of path.
    """

    num_documents: tuple[int, ...]

    @property
    def starts(self) -> Int64Array:
        """Index of the first document of every part, and the number of all documents last."""
        return np.concatenate([[0], np.cumsum(self.num_documents, dtype=np.int64)]).astype(np.int64)


class SignatureUnit(NamedTuple):
    """One input part to sign."""

    artifact: Artifact
    part: PartRecord
    part_index: int
    config: DedupConfig


def sign_part(files: UnitFiles, unit: SignatureUnit) -> Stats:
    """Writes the signatures of one part; counts documents and bytes, also by source."""
    by_source: Counter[str] = Counter()
    text_bytes = 0
    schema = _schema(unit.config)
    integers = [name for name in schema.names if name not in ("id", "source")]
    with (
        pq.ParquetFile(unit.artifact.open_part(unit.part)) as documents,
        files.create(signature_path(unit.part_index)) as output,
        pq.ParquetWriter(output.path, schema, compression="zstd", use_dictionary=["source"]) as writer,
    ):
        for index in range(documents.num_row_groups):
            table = documents.read_row_group(index, columns=["id", "source", "text"])
            columns = _sign_texts(table["text"].to_pylist(), unit.config)
            signed = {"id": table["id"], "source": table["source"]} | {name: columns[name] for name in integers}
            writer.write_table(pa.table(signed, schema), row_group_size=max(table.num_rows, 1))
            output.rows += table.num_rows
            text_bytes += int(columns["text_bytes"].sum())
            by_source.update(table["source"].to_pylist())
    return {
        "documents_in": output.rows,
        "bytes_in": text_bytes,
        "documents_by_source": dict(sorted(by_source.items())),
    }


def signature_path(index: int) -> str:
    """Where the signatures of input part `index` are in the artifact."""
    return f"signatures/{part_name(index)}.parquet"


def band_column(band: int) -> str:
    """The column of a band's keys."""
    return f"band_{band:02d}"


def read_columns(
    scratch: ReadScratch, corpus: Corpus, names: Sequence[str]
) -> Iterator[tuple[int, list[NDArray[Any]]]]:
    """Streams integer columns part by part: (index of the part's first document, one array a column)."""
    for part, start in enumerate(corpus.starts[:-1]):
        table = pq.read_table(scratch(signature_path(part)), columns=list(names))
        yield int(start), [table[name].to_numpy() for name in names]


def read_rows(scratch: ReadScratch, corpus: Corpus, indices: Int64Array, names: Sequence[str]) -> pa.Table:
    """Columns of chosen documents.

    Args:
        scratch: local path of a file of the stage.
        corpus: the documents.
        indices: document indices, strictly increasing.
        names: columns wanted.

    Returns:
        one row for every index, in their order.
    """
    schema = pa.schema([(name, _TYPES[name]) for name in names])
    tables = [schema.empty_table()]
    bounds = np.searchsorted(indices, corpus.starts)
    for part, (first, last) in enumerate(pairwise(bounds)):
        if last > first:
            table = pq.read_table(scratch(signature_path(part)), columns=list(names))
            tables.append(table.take(pa.array(indices[first:last] - corpus.starts[part])).cast(schema))
    return pa.concat_tables(tables).combine_chunks()


_TYPES = {"id": pa.string(), "source": pa.string(), "text_bytes": pa.int64(), "num_words": pa.int64()}


def _schema(config: DedupConfig) -> pa.Schema:
    keys = list(EXACT_COLUMNS) if config.exact is not None else []
    if config.minhash is not None:
        keys += [*WORDS_COLUMNS, *map(band_column, range(config.minhash.bands))]
    fields = [*_TYPES.items(), *((name, pa.uint64()) for name in keys)]
    return pa.schema([pa.field(name, type_, nullable=False) for name, type_ in fields])


def _sign_texts(texts: list[str], config: DedupConfig) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {
        "text_bytes": np.array([len(text.encode()) for text in texts], np.int64),
        "num_words": np.zeros(len(texts), np.int64),
    }
    if config.exact is not None:
        digests = b"".join(text_digest(text, config.exact.normalize) for text in texts)
        columns |= zip(EXACT_COLUMNS, _halves(digests), strict=True)
    if config.minhash is not None:
        columns |= _sign_words(texts, config.minhash)
    return columns


def _sign_words(texts: list[str], config: MinHashConfig) -> dict[str, NDArray[Any]]:
    multipliers, offsets = permutations(config.seed, config.bands * config.rows)
    keys = np.zeros((len(texts), config.bands), np.uint64)
    num_words = np.zeros(len(texts), np.int64)
    digests = bytearray()
    for row, text in enumerate(texts):
        words = hash_words(text)
        num_words[row] = len(words)
        digests += _words_digest(words)
        if len(text) > config.max_chars:
            words = hash_words(text[: config.max_chars])
        keys[row] = band_keys(minhash(ngram_hashes(words, config.ngram), multipliers, offsets), config.bands)
    columns: dict[str, NDArray[Any]] = {"num_words": num_words}
    columns |= zip(WORDS_COLUMNS, _halves(bytes(digests)), strict=True)
    return columns | {band_column(band): keys[:, band] for band in range(config.bands)}


def _words_digest(words: UInt64Array) -> bytes:
    return xxhash.xxh3_128_digest(words.astype("<u8", copy=False).tobytes())


def _halves(digests: bytes) -> tuple[UInt64Array, UInt64Array]:
    halves = np.frombuffer(digests, ">u8").reshape(-1, 2).astype(np.uint64)
    return halves[:, 0], halves[:, 1]
