"""The index of a pack artifact, `data/index.json`: dtype, special ids, token shards of every split."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from pretrain.artifact import Artifact
from pretrain.errors import StoreVersionError

INDEX_PATH = "data/index.json"
TOKEN_BYTES_PATH = "data/token_bytes.npy"


class TokenPart(BaseModel):
    """One token shard; `path` is relative to the artifact. Its documents lie beside it."""

    model_config = ConfigDict(frozen=True)

    path: str
    tokens: int
    documents: int


class SplitIndex(BaseModel):
    """One split: its token shards in stream order, and what the layout makes of them.

    Attributes:
        parts: token shards; the split's stream is their concatenation.
        tokens: tokens in the stream.
        sequences: sequences of `sequence_length` tokens.
        tokens_dropped: tokens in no sequence (the tail that fills no whole sequence).
    """

    model_config = ConfigDict(frozen=True)

    parts: list[TokenPart]
    tokens: int
    sequences: int
    tokens_dropped: int


class SequenceIndex(BaseModel):
    """What a pack artifact holds.

    Attributes:
        layout: how sequences lie in the stream; `concat`: sequence i is tokens [i * L, (i + 1) * L).
        dtype: little-endian type of the token shards.
        vocab_size: one more than the largest token id.
        sequence_length: L, tokens of a sequence.
        bos_token_id: the tokenizer's, or None where it has none; pad_token_id and eos_token_id likewise.
        splits: `train`, and `validation` (with no parts where the split is empty).
    """

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = 1
    layout: Literal["concat"] = "concat"
    dtype: Literal["uint16", "uint32"]
    vocab_size: int
    sequence_length: int
    bos_token_id: int | None
    eos_token_id: int | None
    pad_token_id: int | None
    splits: dict[str, SplitIndex]


def read_index(source: Artifact | Path) -> SequenceIndex:
    """The index of a pack artifact, or of the local folder of one.

    Raises:
        DamagedArtifactError: its bytes differ from the manifest.
        StoreVersionError: it was written by a version with another layout.
    """
    path = source.open_part(INDEX_PATH) if isinstance(source, Artifact) else source / INDEX_PATH
    try:
        return SequenceIndex.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise StoreVersionError(f"{path} is not an index that this version reads: upgrade pretrain") from error


def read_token_bytes(source: Artifact | Path) -> NDArray[np.int32]:
    """UTF-8 bytes of each token, (vocab_size,) int32, 0 for special tokens: for bits per byte."""
    path = source.open_part(TOKEN_BYTES_PATH) if isinstance(source, Artifact) else source / TOKEN_BYTES_PATH
    token_bytes: NDArray[np.int32] = np.load(path, allow_pickle=False)
    return token_bytes
