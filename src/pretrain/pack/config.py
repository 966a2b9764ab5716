"""The `pack` part of a recipe."""

from typing import Literal

from pydantic import Field

from pretrain.config import Config

VERSION: int = 1


class PackConfig(Config):
    """How documents become sequences of tokens."""

    sequence_length: int = Field(ge=2, le=1 << 20, description="Tokens of a sequence, special tokens counted")
    strategy: Literal["concat"] = Field(
        default="concat",
        description="concat: documents one after another, cut every sequence_length tokens; the tail of a "
        "split is dropped and counted",
    )
    bos: bool = Field(default=True, description="Put the tokenizer's bos token before each document")
    eos: bool = Field(default=True, description="Put the tokenizer's eos token after each document")
    export_parquet: bool = Field(
        default=True,
        description="Also write export/<split>/*.parquet with `input_ids`, for datasets.load_dataset",
    )
