"""The `pack` part of a recipe."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pretrain.config import Config

VERSION: int = 3


class PackConfig(Config):
    """How documents become sequences of tokens."""

    sequence_length: int = Field(ge=2, le=1 << 20, description="Tokens of a sequence, special tokens counted")
    strategy: Literal["concat", "best_fit", "pad"] = Field(
        default="concat",
        description="concat: documents one after another, cut every sequence_length tokens. best_fit: a document that "
        "fits a sequence is never cut, longer ones are split every sequence_length tokens, and the pieces of a part "
        "are put together by best-fit-decreasing (Ding et al. 2024, Fewer Truncations Improve Language Modeling, "
        "section 3). pad: one piece a sequence",
    )
    tail: Literal["drop", "pad"] = Field(
        default="drop", description="With concat, what becomes of the last tokens of a split that fill no sequence"
    )
    isolate_documents: bool = Field(
        default=False,
        description="No token attends to another document: positions restart, and the first token of a document is "
        "not predicted from the one before. Default false: the course, and most runs at short lengths",
    )
    bos: bool = Field(default=True, description="Put the tokenizer's bos token before each document")
    eos: bool = Field(default=True, description="Put the tokenizer's eos token after each document")
    export_parquet: bool = Field(
        default=True,
        description="Also write export/<split>/*.parquet for datasets.load_dataset: `input_ids`, and where sequences "
        "are padded or documents isolated, `position_ids` and `document_ids`",
    )

    @model_validator(mode="after")
    def _tail_of_concat(self) -> Self:
        if self.tail == "pad" and self.strategy != "concat":
            raise ValueError(f"tail: {self.strategy} loses no tail; leave it out")
        return self
