"""One training sequence of a pack artifact as text, with the borders of its documents, for people."""

from collections.abc import Iterator

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pretrain.artifact import Artifact, read_manifest
from pretrain.sequences.encoder import Encoder
from pretrain.sequences.index import SequenceIndex, SplitIndex, TokenPart, read_index
from pretrain.sequences.loader import TokenSequences
from pretrain.snippet import one_line, without_credentials

_PIECE_CHARS = 100
_NUM_LOOKED_AT = 1000


def view(artifact: Artifact) -> Iterator[tuple[str, list[str]]]:
    """A title and lines: the first training sequence of several documents, one line for each.

    A line has how many tokens of the sequence a document has, its id, and the text of these tokens, from both ends
    where it is long. Nothing is shown where the store no longer has the tokenizer.
    """
    index = read_index(artifact)
    encoder = _encoder(artifact)
    if encoder is None or not index.splits["train"].sequences:
        return
    shard = index.splits["train"].parts[0]
    sequences, borders = _of_shard(artifact, index, shard)
    if not len(sequences):
        return
    ids = pq.read_table(artifact.open_part(shard.documents_path), columns=["id"])["id"].to_pylist()
    looked_at = range(min(len(sequences), _NUM_LOOKED_AT))
    number = next((number for number in looked_at if len(sequences.pieces(number)) > 1), 0)
    lines, filled = [], 0
    for start, length in sequences.pieces(number).tolist():
        document = ids[int(np.searchsorted(borders, start, side="right")) - 1]
        text = encoder.decode(sequences.stream.read(start, start + length).tolist())
        lines.append(f"{length:>6,} tokens  {document}  {_ends(text)}")
        filled += length
    if filled < index.sequence_length:
        lines.append(f"{index.sequence_length - filled:>6,} positions of padding")
    total = index.splits["train"].sequences
    yield f"train sequence {number:,} of {total:,}, {index.sequence_length:,} tokens, by document", lines


def _of_shard(artifact: Artifact, index: SequenceIndex, shard: TokenPart) -> tuple[TokenSequences, NDArray[np.int64]]:
    """The whole sequences of one shard, and where its documents begin: the others need not be fetched."""
    num_sequences = shard.sequences or shard.tokens // index.sequence_length
    split = SplitIndex(parts=[shard], tokens=shard.tokens, sequences=num_sequences, tokens_dropped=0)
    for path in (shard.borders_path, *shard.beside(index)):
        artifact.open_part(path)
    alone = index.model_copy(update={"splits": {"train": split}})
    borders = np.load(artifact.open_part(shard.borders_path), allow_pickle=False)
    return TokenSequences(alone, "train", [artifact.open_part(shard.path)]), borders


def _encoder(artifact: Artifact) -> Encoder | None:
    for record in artifact.manifest.inputs:
        if record.stage == "tokenizer":
            manifest = read_manifest(artifact.store, record.stage, record.fingerprint)
            if manifest is not None:
                return Encoder(Artifact(artifact.store, manifest).open_folder())
    return None


def _ends(text: str) -> str:
    shown = one_line(without_credentials(text))
    if len(shown) <= _PIECE_CHARS:
        return shown
    half = _PIECE_CHARS // 2
    return f"{shown[:half]} … {shown[-half:]}"
