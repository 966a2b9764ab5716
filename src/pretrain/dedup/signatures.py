"""What documents are compared by for near-duplicates: `signatures/minhash/part-00000.parquet`.

| column | type | is |
|---|---|---|
| `num_units` | int64 | words (or characters) of the whole text; a document without any has no near-duplicates |
| `units_high`, `units_low` | uint64 | 128-bit hash of the sequence of their hashes |
| `band_00` ... | uint64 | LSH keys, meaningless where `num_units` is 0 |
| `minima` | binary | the MinHash values, uint64 each; only with `verify: signature` |

One row a document in input order. An exact duplicate that goes is not read: its `num_units` is 0. 112 bytes of keys
stand for 448 bytes of MinHash values: verification by Jaccard reads texts, so the values are not needed.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from pretrain.dedup.config import MinHashConfig
from pretrain.dedup.corpus import PIECE_ROWS, CorpusPart, Piece, signature_path
from pretrain.dedup.exact import read_relations
from pretrain.dedup.listing import halves
from pretrain.dedup.repeats import Edits
from pretrain.dedup.shingles import sign_text, unit_hashes
from pretrain.dedup.shuffle import Int64Array, Slice
from pretrain.dedup.texts import TextSource
from pretrain.stage import Stats, UnitFiles

UNITS_COLUMNS = ("units_high", "units_low")


class SignatureUnit(NamedTuple):
    """A piece of one new part; `relations` of its group, `edits` of its texts.

    path: of the signatures.
    """

    piece: Piece
    path: str
    relations: tuple[Slice, ...]
    edits: Edits | None
    config: MinHashConfig


class JoinUnit(NamedTuple):
    """One new part that was signed in pieces, and the paths of their signatures in order."""

    part: CorpusPart
    pieces: tuple[str, ...]
    config: MinHashConfig


def band_column(band: int) -> str:
    """The name of the column with the keys of a band."""
    return f"band_{band:02d}"


def sign_piece(files: UnitFiles, unit: SignatureUnit) -> Stats:
    """Writes the signatures of a piece, its rows held some thousand at a time and its texts one row group at a time."""
    part, start, stop = unit.piece
    gone = read_relations(files, unit.relations, start, stop)
    is_signed = np.ones(stop - start, np.bool_)
    is_signed[gone[gone[:, -1] > 0, 0].astype(np.int64) - start] = False
    texts = TextSource((part,), unit.edits).read(files, np.flatnonzero(is_signed) + start)
    batches = (is_signed[first : first + PIECE_ROWS] for first in range(0, len(is_signed), PIECE_ROWS))
    _write(files, unit.path, unit.config, (_sign_batch(texts, batch, unit.config) for batch in batches))
    return {"documents_signed": int(is_signed.sum())}


def join_pieces(files: UnitFiles, unit: JoinUnit) -> Stats:
    """Writes the signatures of a part as `sign_piece` would have, from those of its pieces."""
    _write(files, signature_path("minhash", unit.part.number), unit.config, _row_groups(files, unit.pieces))
    return {"pieces": len(unit.pieces)}


def read_minima(files: UnitFiles, part: CorpusPart, rows: Int64Array) -> np.ndarray:
    """The MinHash values of documents by row, shape (rows, values)."""
    column = pq.read_table(part.signatures(files, "minhash"), columns=["minima"])["minima"]
    chosen = column.take(pa.array(rows)).to_pylist()
    return np.frombuffer(b"".join(chosen), np.uint64).reshape(len(rows), -1)


def _write(files: UnitFiles, path: str, config: MinHashConfig, tables: Iterable[pa.Table]) -> None:
    with (
        files.create(path) as output,
        pq.ParquetWriter(output.path, _schema(config), compression="zstd", use_dictionary=False) as writer,
    ):
        for table in tables:
            writer.write_table(table, row_group_size=table.num_rows)
            output.rows += table.num_rows


def _row_groups(files: UnitFiles, paths: tuple[str, ...]) -> Iterator[pa.Table]:
    for path in paths:
        with pq.ParquetFile(files.scratch(path)) as file:
            yield from (file.read_row_group(index) for index in range(file.num_row_groups))


def _sign_batch(texts: Iterator[str], is_signed: np.ndarray, config: MinHashConfig) -> pa.Table:
    num_units = np.zeros(len(is_signed), np.int64)
    keys = np.zeros((len(is_signed), config.bands), np.uint64)
    minima = np.zeros((len(is_signed), config.bands * config.rows), np.uint64)
    digests = bytearray()
    for row, is_wanted in enumerate(is_signed.tolist()):
        if is_wanted:
            text = next(texts)
            units = unit_hashes(text, config)
            num_units[row] = len(units)
            digests += xxhash.xxh3_128_digest(units.astype("<u8", copy=False).tobytes())
            keys[row], minima[row] = sign_text(text, units, config)
        else:
            digests += bytes(16)
    columns = {"num_units": num_units, **dict(zip(UNITS_COLUMNS, halves(bytes(digests)), strict=True))}
    columns |= {band_column(band): keys[:, band] for band in range(config.bands)}
    if config.verify == "signature":
        columns["minima"] = pa.array([row.tobytes() for row in minima], pa.binary(8 * minima.shape[1]))
    return pa.table(columns, _schema(config))


def _schema(config: MinHashConfig) -> pa.Schema:
    fields = [("num_units", pa.int64()), *((name, pa.uint64()) for name in UNITS_COLUMNS)]
    fields += [(band_column(band), pa.uint64()) for band in range(config.bands)]
    if config.verify == "signature":
        fields.append(("minima", pa.binary(8 * config.bands * config.rows)))
    return pa.schema([pa.field(name, type_, nullable=False) for name, type_ in fields])
