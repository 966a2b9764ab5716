"""The `tokenizer` part of a recipe."""

from typing import Annotated

from pydantic import Field, model_validator

from pretrain.config import Config, Location

VERSION: int = 1

_NUM_BYTES = 256
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
    special_tokens: tuple[str, ...] = Field(
        default=(), description="More tokens that text is never encoded to, such as <|im_start|>"
    )


class TokenizerConfig(Config):
    """Exactly one of `train` and `import`, and the names of the special tokens."""

    train: TrainTokenizerConfig | None = Field(default=None, description="Train one on the train split")
    import_: Annotated[str | None, Location()] = Field(
        default=None,
        alias="import",
        description="A folder with tokenizer.json or such a file, relative to the recipe; its content counts",
    )
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
        if self.train is not None:
            names = [*self.special_roles().values(), *self.train.special_tokens]
            if len(set(names)) < len(names):
                raise ValueError(f"special tokens must differ from each other, got {names}")
            if self.train.vocab_size < _NUM_BYTES + len(names):
                raise ValueError(f"vocab_size must be at least {_NUM_BYTES} bytes + {len(names)} special tokens")
        return self

    def special_roles(self) -> dict[str, str]:
        """Special tokens by role (`bos_token`, ...): all three when trained, those given when imported."""
        given = {"bos_token": self.bos_token, "eos_token": self.eos_token, "pad_token": self.pad_token}
        named = {role: token for role, token in given.items() if token is not None}
        return named if self.train is None else {**_TRAINED_ROLES, **named}
