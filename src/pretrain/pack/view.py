"""One training sequence of a pack artifact as text, with the borders of its documents, for people."""

import itertools
from collections.abc import Iterator

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pretrain.artifact import Artifact, read_manifest
from pretrain.sequences.encoder import Encoder
from pretrain.sequences.index import TokenPart, read_index
from pretrain.sequences.stream import TokenStream
from pretrain.snippet import one_line, without_credentials

_PIECE_CHARS = 100


def view(artifact: Artifact) -> Iterator[tuple[str, list[str]]]:
    """A title and lines: the first training sequence in which a document begins and another ends, one line a piece.

    A line has how many tokens of the sequence a document has, its id, and the text of these tokens, from both ends
    where it is long. Nothing is shown where the store no longer has the tokenizer.
    """
    index = read_index(artifact)
    encoder = _encoder(artifact)
    if encoder is None or not index.splits["train"].sequences:
        return
    shard, length = index.splits["train"].parts[0], index.sequence_length
    ids, borders = _documents(artifact, shard)
    number = _first_with_border(borders, length, shard.tokens)
    start, stop = number * length, min((number + 1) * length, shard.tokens)
    tokens = TokenStream([artifact.open_part(shard.path)], [shard.tokens], index.dtype)
    lines = []
    for first, last in itertools.pairwise([start, *borders[(borders > start) & (borders < stop)].tolist(), stop]):
        document = ids[int(np.searchsorted(borders, first, side="right")) - 1]
        lines.append(
            f"{last - first:>6,} tokens  {document}  {_ends(encoder.decode(tokens.read(first, last).tolist()))}"
        )
    yield f"train sequence {number:,} of {index.splits['train'].sequences:,}, {length:,} tokens, by document", lines


def _encoder(artifact: Artifact) -> Encoder | None:
    for record in artifact.manifest.inputs:
        if record.stage == "tokenizer":
            manifest = read_manifest(artifact.store, record.stage, record.fingerprint)
            if manifest is not None:
                return Encoder(Artifact(artifact.store, manifest).open_folder())
    return None


def _documents(artifact: Artifact, shard: TokenPart) -> tuple[list[str], NDArray[np.int64]]:
    """Ids of the documents of a token shard, and the token at which each begins. Shape (documents,)."""
    beside = shard.path.removesuffix(".tokens") + ".documents.parquet"
    table = pq.read_table(artifact.open_part(beside), columns=["id", "num_tokens"])
    num_tokens = table["num_tokens"].to_numpy().astype(np.int64)
    return table["id"].to_pylist(), np.cumsum(num_tokens) - num_tokens


def _first_with_border(borders: NDArray[np.int64], length: int, num_tokens: int) -> int:
    """The first sequence, whole in the shard, inside which a document begins; 0 where there is none."""
    inside = borders[(borders % length != 0) & (borders // length < num_tokens // length)]
    return int(inside[0]) // length if len(inside) else 0


def _ends(text: str) -> str:
    shown = one_line(without_credentials(text))
    if len(shown) <= _PIECE_CHARS:
        return shown
    half = _PIECE_CHARS // 2
    return f"{shown[:half]} … {shown[-half:]}"
