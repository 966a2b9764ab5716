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
    """One token shard; `path` is relative to the artifact. Its documents and pieces lie beside it.

    Attributes:
        sequences: that are listed beside it; 0 for `concat`, whose sequences are cut from all shards of the split.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    tokens: int
    documents: int
    sequences: int = 0

    @property
    def documents_path(self) -> str:
        """Parquet with the id and num_tokens of each document, in order."""
        return f"{self._stem}.documents.parquet"

    @property
    def borders_path(self) -> str:
        """The token of the shard at which each document begins: (documents,) int64."""
        return f"{self._stem}.borders.npy"

    @property
    def pieces_path(self) -> str:
        """First token in the shard and length of each piece, sequence after sequence: (pieces, 2) int64."""
        return f"{self._stem}.pieces.npy"

    @property
    def rows_path(self) -> str:
        """The piece at which each sequence begins, and the number of pieces last: (sequences + 1,) int64."""
        return f"{self._stem}.rows.npy"

    def beside(self, index: "SequenceIndex") -> list[str]:
        """What reading the sequences of `index` needs beside the shard."""
        if index.layout == "pieces":
            return [self.rows_path, self.pieces_path]
        return [self.borders_path] if index.needs_documents else []

    @property
    def _stem(self) -> str:
        return self.path.removesuffix(".tokens")


class SplitIndex(BaseModel):
    """One split: its token shards in stream order, and what the layout makes of them.

    Attributes:
        parts: token shards; the split's stream is their concatenation.
        tokens: tokens in the stream.
        sequences: sequences of `sequence_length` positions.
        tokens_dropped: tokens in no sequence (the tail that fills no whole sequence).
        tokens_padded: positions of sequences that hold no token of the stream.
    """

    model_config = ConfigDict(frozen=True)

    parts: list[TokenPart]
    tokens: int
    sequences: int
    tokens_dropped: int
    tokens_padded: int = 0


class SequenceIndex(BaseModel):
    """What a pack artifact holds.

    Attributes:
        layout: how sequences lie in the stream; `concat`: sequence i is tokens [i * L, (i + 1) * L), the last one
            padded where there are fewer; `pieces`: the pieces of a sequence are listed beside each shard.
        isolate_documents: whether documents that share a sequence are to be kept from each other.
        dtype: little-endian type of the token shards.
        vocab_size: one more than the largest token id.
        sequence_length: L, tokens of a sequence.
        bos_token_id: the tokenizer's, or None where it has none; pad_token_id and eos_token_id likewise.
        splits: `train`, and `validation` (with no parts where the split is empty).
    """

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[2] = 2
    layout: Literal["concat", "pieces"] = "concat"
    isolate_documents: bool = False
    dtype: Literal["uint16", "uint32"]
    vocab_size: int
    sequence_length: int
    bos_token_id: int | None
    eos_token_id: int | None
    pad_token_id: int | None
    splits: dict[str, SplitIndex]

    @property
    def padding_id(self) -> int:
        """What fills the positions without a token: nothing attends to it and nothing is learned from it."""
        known = (self.pad_token_id, self.eos_token_id, 0)
        return next(token for token in known if token is not None)

    @property
    def needs_documents(self) -> bool:
        """Whether a sequence is more than its tokens: padded, or of documents that are kept from each other."""
        return self.isolate_documents or self.layout == "pieces" or any(s.tokens_padded for s in self.splits.values())


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
