"""What the recipe says about the model that training starts from."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pretrain.config import Config, Location
from pretrain.errors import RecipeError
from pretrain.fingerprint import FINGERPRINT_HEX_DIGITS
from pretrain.init.architecture import ArchitectureConfig
from pretrain.init.operations import AnyOperation
from pretrain.init.operations.resize_vocab import ResizeVocab

VERSION: int = 2

HUB_PREFIX = "hf://"

_ARTIFACT = re.compile(rf"(?:init|train)/[0-9a-f]{{{FINGERPRINT_HEX_DIGITS}}}")
_HUB_ID = re.compile(r"(?:hf://)?[\w.-]+/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")

Origin = Literal["folder", "artifact", "hub"]


class InitConfig(Config):
    """Where the weights come from, and what is done to them, in order."""

    architecture: ArchitectureConfig | None = Field(
        default=None, description="Random weights of these sizes, by their keys or by name (124M)"
    )
    from_: Annotated[str | None, Location()] = Field(
        default=None,
        alias="from",
        description="Or a checkpoint with safetensors: a local folder, relative to the recipe; an artifact of the "
        "store (train/<fingerprint>, init/<fingerprint>); or with `revision` a hub id (owner/name)",
    )
    revision: str | None = Field(
        default=None, description="The commit of a hub id, 40 hex digits: a branch or tag would not stay the same"
    )
    operations: tuple[AnyOperation, ...] = Field(default=(), description="What is done to the weights, in order")
    dtype: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="Of the saved weights, unless an operation casts; float32 are master weights for mixed precision",
    )
    validation_sequences: int = Field(
        default=0,
        ge=0,
        description="Validation sequences to measure the loss on right after init, the first of the split. Above 0 "
        "init waits for pack; `train` measures the same before its first step in any case",
    )

    @property
    def origin(self) -> Origin | None:
        """What `from` names; None for an architecture."""
        if self.from_ is None:
            return None
        if self.revision is not None:
            return "hub"
        return "artifact" if _ARTIFACT.fullmatch(self.from_) else "folder"

    @property
    def needs_pack(self) -> bool:
        """Whether something is measured on validation sequences, so that pack is an input."""
        return self.validation_sequences > 0 or any(operation.needs_pack for operation in self.operations)

    @property
    def needs_source_tokenizer(self) -> bool:
        """Whether the checkpoint's own tokenizer is read."""
        return any(isinstance(operation, ResizeVocab) for operation in self.operations)

    @field_validator("revision")
    @classmethod
    def _is_a_commit(cls, revision: str | None) -> str | None:
        if revision is not None and not _COMMIT.fullmatch(revision):
            raise ValueError("is no commit of 40 hex digits; the model's page on the hub lists its commits")
        return revision

    @model_validator(mode="after")
    def _one_start(self) -> "InitConfig":
        if (self.architecture is None) == (self.from_ is None):
            raise ValueError("give exactly one of `architecture` (random weights) and `from` (a checkpoint)")
        if self.revision is not None and (self.from_ is None or not _HUB_ID.fullmatch(self.from_)):
            raise ValueError(f"revision goes with a hub id (owner/name) in `from`, which is {self.from_!r}")
        if self.revision is None and self.from_ is not None and self.from_.startswith(HUB_PREFIX):
            raise ValueError(f"from {self.from_!r} is not pinned: give the commit too, as revision (40 hex digits)")
        return self

    @model_validator(mode="after")
    def _operations_fit(self) -> "InitConfig":
        if self.architecture is None:
            return self
        values: dict[str, Any] = self.architecture.model_dump()
        for index, operation in enumerate(self.operations):
            try:
                if isinstance(operation, ResizeVocab):
                    raise RecipeError("resize_vocab needs a checkpoint (`from`), whose tokens it takes over")
                values = operation.config_after(values, 0)
            except RecipeError as error:
                raise ValueError(f"operations.{index}: {error}") from error
        return self
