"""The `tokenizer` part of a recipe."""

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pretrain.config import Config, Location

VERSION: int = 3

_NUM_BYTES = 256
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
# Between any two characters there is an empty text: as a token it would be everywhere.
TokenName = Annotated[str, Field(min_length=1)]
_TRAINED_ROLES = {"bos_token": "<|bos|>", "eos_token": "<|eos|>", "pad_token": "<|pad|>"}


class TrainTokenizerConfig(Config):
    """A byte-level BPE trained on the train split (Sennrich et al. 2016; bytes and word pattern of GPT-2)."""

    vocab_size: int = Field(
        ge=_NUM_BYTES,
        le=1_000_000,
        description="Tokens in all, 256 bytes and special tokens counted; fewer where text has no more pairs",
    )
    min_frequency: int = Field(
        default=2,
        ge=1,
        description="Occurrences that a pair needs to be merged (default: ByteLevelBPETokenizer)",
    )
    sample_bytes: int = Field(
        default=1_000_000_000,
        ge=1,
        description="UTF-8 bytes of text to train on, about; documents are chosen by the hash of their id",
    )
    special_tokens: tuple[TokenName, ...] = Field(
        default=(), description="More tokens that text is never encoded to, such as <|im_start|>"
    )


class TiktokenConfig(Config):
    """What a file of tiktoken ranks does not say. Either `encoding`, or `pattern` and `special_tokens`."""

    encoding: Literal["gpt2", "r50k_base", "cl100k_base", "o200k_base", "llama3"] | None = Field(
        default=None, description="A published encoding: its pattern and special tokens; the file must be its own"
    )
    pattern: str | None = Field(
        default=None,
        min_length=1,
        description="How text is split before it is merged: the name of an encoding, or a regular expression",
    )
    special_tokens: tuple[TokenName, ...] = Field(
        default=(), description="Special tokens beside `pattern`; their ids follow the last rank, in this order"
    )

    @model_validator(mode="after")
    def _check_one_way(self) -> "TiktokenConfig":
        if (self.encoding is None) == (self.pattern is None):
            raise ValueError("give exactly one of `encoding: cl100k_base` and `pattern: cl100k_base`")
        if self.encoding is not None and self.special_tokens:
            raise ValueError("special_tokens: an encoding has its own; write `pattern` instead of `encoding`")
        if len(set(self.special_tokens)) < len(self.special_tokens):
            raise ValueError("special_tokens must differ from each other")
        return self


class SentencePieceConfig(Config):
    """How a SentencePiece model is converted."""

    normalizer: Literal["exact", "precompiled"] = Field(
        default="exact",
        description="`exact` refuses a model with character rules (nmt_nfkc, ...); `precompiled` takes the "
        "tokenizers library's reading of them, as transformers does, which composes some letters otherwise",
    )


class TokenizerConfig(Config):
    """Exactly one of `train` and `import`, and the names of the special tokens."""

    train: TrainTokenizerConfig | None = Field(default=None, description="Train one on the train split")
    import_: Annotated[str | None, Location()] = Field(
        default=None,
        alias="import",
        description="A file or folder, relative to the recipe: tokenizer.json, vocab.json and merges.txt, a "
        "SentencePiece .model or tiktoken ranks; its content counts. With `revision`: the id of a hub's repository",
    )
    revision: str | None = Field(
        default=None, description="The commit of a hub's repository, 40 hex digits; a branch or tag can move"
    )
    tiktoken: TiktokenConfig | None = Field(default=None, description="Required for tiktoken ranks, and only there")
    sentencepiece: SentencePieceConfig | None = Field(default=None, description="SentencePiece models only")
    bos_token: str | None = Field(
        default=None,
        min_length=1,
        description="Begins a document; null: <|bos|> when trained, else what the imported tokenizer names",
    )
    eos_token: str | None = Field(
        default=None,
        min_length=1,
        description="Ends a document; null: <|eos|> when trained, else what the imported tokenizer names",
    )
    pad_token: str | None = Field(
        default=None,
        min_length=1,
        description="Fills a row; null: <|pad|> when trained, else what the imported tokenizer names",
    )

    @model_validator(mode="after")
    def _check_one_way(self) -> "TokenizerConfig":
        if (self.train is None) == (self.import_ is None):
            raise ValueError("give exactly one of `train: {vocab_size: 4096}` and `import: path`")
        self._check_import()
        if self.train is not None:
            names = [*self.special_roles().values(), *self.train.special_tokens]
            if len(set(names)) < len(names):
                raise ValueError(f"special tokens must differ from each other, got {names}")
            if self.train.vocab_size < _NUM_BYTES + len(names):
                raise ValueError(f"vocab_size must be at least {_NUM_BYTES} bytes + {len(names)} special tokens")
        return self

    def _check_import(self) -> None:
        if self.import_ is None and (self.revision or self.tiktoken or self.sentencepiece):
            raise ValueError("revision, tiktoken and sentencepiece belong to `import`; leave them out")
        if self.tiktoken is not None and self.sentencepiece is not None:
            raise ValueError("give one of tiktoken and sentencepiece: a file is of one kind")
        if self.revision is not None and not _COMMIT.fullmatch(self.revision):
            raise ValueError(
                f"revision: {self.revision!r} is no commit (40 hex digits); pin one, since a branch can move"
            )
        if self.revision is not None and not _HUB_ID.fullmatch(str(self.import_)):
            raise ValueError(f"revision: {self.import_!r} is no id of a hub (owner/name); a local path has no revision")

    def special_roles(self) -> dict[str, str]:
        """Special tokens by role (`bos_token`, ...): all three when trained, those given when imported."""
        given = {"bos_token": self.bos_token, "eos_token": self.eos_token, "pad_token": self.pad_token}
        named = {role: token for role, token in given.items() if token is not None}
        return named if self.train is None else {**_TRAINED_ROLES, **named}
