"""What the recipe says about the model that training starts from."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pretrain.config import Config, Location
from pretrain.errors import RecipeError
from pretrain.init.operations import AnyOperation

VERSION: int = 1


class ArchitectureConfig(Config):
    """A Llama model by its sizes, named as in transformers' LlamaConfig; the tokenizer gives vocab_size."""

    num_hidden_layers: int = Field(ge=1, description="Decoder layers, before operations")
    hidden_size: int = Field(ge=1, description="Width of the residual stream")
    intermediate_size: int = Field(
        ge=1, description="Width of the gated MLP (SwiGLU), often 8/3 to 4 times hidden_size"
    )
    num_attention_heads: int = Field(ge=1, description="Query heads; divides hidden_size")
    num_key_value_heads: int | None = Field(
        default=None, ge=1, description="Key-value heads; divides num_attention_heads, which null stands for"
    )
    max_position_embeddings: int = Field(
        default=2048, ge=1, description="Longest sequence in tokens (default: LlamaConfig)"
    )
    rope_theta: float = Field(
        default=10_000.0,
        gt=0,
        allow_inf_nan=False,
        description="Base of the rotary periods (RoFormer, section 3.3)",
    )
    tie_word_embeddings: bool = Field(
        default=False, description="Use the embedding as output head (default: LlamaConfig)"
    )
    rms_norm_eps: float = Field(default=1e-6, gt=0, lt=1, description="Added to the mean square (default: LlamaConfig)")
    initializer_range: float = Field(
        default=0.02, gt=0, le=1, description="Standard deviation of random weights (default: LlamaConfig)"
    )
    attention_bias: bool = Field(default=False, description="Biases in the attention's linear layers")
    mlp_bias: bool = Field(default=False, description="Biases in the MLP's linear layers")
    attention_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Dropout on attention weights in training (default: LlamaConfig)"
    )

    @property
    def key_value_heads(self) -> int:
        """Number of key-value heads, where none are named that of the query heads."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.hidden_size // self.num_attention_heads

    @model_validator(mode="after")
    def _heads_fit(self) -> "ArchitectureConfig":
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not divisible by num_attention_heads {self.num_attention_heads}"
            )
        if self.num_attention_heads % self.key_value_heads:
            raise ValueError(
                f"num_attention_heads {self.num_attention_heads} is not divisible by num_key_value_heads "
                f"{self.key_value_heads}"
            )
        if self.head_dim % 2:
            raise ValueError(
                f"hidden_size / num_attention_heads is {self.head_dim}; rotary embeddings need an even number"
            )
        return self


class InitConfig(Config):
    """Where the weights come from, and what is done to them, in order."""

    architecture: ArchitectureConfig | None = Field(default=None, description="Random weights of these sizes")
    from_: Annotated[str | None, Location()] = Field(
        default=None,
        alias="from",
        description="Or: a local folder in the Hugging Face layout, with safetensors",
    )
    operations: tuple[AnyOperation, ...] = Field(default=(), description="Surgery on the layers, in order")
    dtype: Literal["float32", "bfloat16"] = Field(
        default="float32", description="Of the saved weights; float32 are master weights for mixed precision"
    )

    @model_validator(mode="after")
    def _one_start(self) -> "InitConfig":
        if (self.architecture is None) == (self.from_ is None):
            raise ValueError("give exactly one of `architecture` (random weights) and `from` (a checkpoint)")
        return self

    @model_validator(mode="after")
    def _operations_fit(self) -> "InitConfig":
        if self.architecture is not None:
            num_layers = self.architecture.num_hidden_layers
            for index, operation in enumerate(self.operations):
                try:
                    num_layers = operation.num_layers_after(num_layers)
                except RecipeError as error:
                    raise ValueError(f"operations.{index}: {error}") from error
        return self
