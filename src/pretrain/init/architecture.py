"""The sizes of a model that starts from random weights."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from pretrain.config import Config
from pretrain.init.sizes import size_values


class ArchitectureConfig(Config):
    """A Llama model by its sizes, named as in transformers' LlamaConfig; the tokenizer gives vocab_size.

    `size` stands for the keys of a known shape; keys beside it take the place of its own. Written as a text alone
    (`architecture: 124M`) it is the size of that name.
    """

    size: str | None = Field(
        default=None, description="A known shape by name, 1M to 8B (pretrain.init.sizes); null: every key is given"
    )
    num_hidden_layers: int = Field(ge=1, description="Decoder layers, before operations")
    hidden_size: int = Field(ge=1, description="Width of the residual stream")
    intermediate_size: int = Field(
        ge=1, description="Width of the gated MLP (SwiGLU), often 8/3 to 4 times hidden_size"
    )
    num_attention_heads: int = Field(ge=1, description="Query heads; divides hidden_size")
    num_key_value_heads: int | None = Field(
        default=None, ge=1, description="Key-value heads; divides num_attention_heads, which null stands for"
    )
    head_dim: int | None = Field(
        default=None, ge=2, description="Width of one head; null is hidden_size / num_attention_heads"
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
    hidden_act: Literal["silu", "gelu", "gelu_pytorch_tanh", "relu"] = Field(
        default="silu", description="Activation of the gated MLP, by its name in transformers (default: LlamaConfig)"
    )
    attention_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Dropout on attention weights in training (default: LlamaConfig)"
    )

    @property
    def key_value_heads(self) -> int:
        """Number of key-value heads, where none are named that of the query heads."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def head_width(self) -> int:
        """Width of one head, where none is given that of the hidden size shared out."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    def identity(self) -> dict[str, Any]:
        """All keys but the name of the size, which stands for the others."""
        return {name: value for name, value in super().identity().items() if name != "size"}

    @model_validator(mode="before")
    @classmethod
    def _with_size(cls, values: Any) -> Any:
        if isinstance(values, str):
            values = {"size": values}
        if isinstance(values, Mapping) and isinstance(values.get("size"), str):
            return {**size_values(values["size"]), **values}
        return values

    @model_validator(mode="after")
    def _heads_fit(self) -> "ArchitectureConfig":
        if self.head_dim is None and self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not divisible by num_attention_heads {self.num_attention_heads}"
            )
        if self.num_attention_heads % self.key_value_heads:
            raise ValueError(
                f"num_attention_heads {self.num_attention_heads} is not divisible by num_key_value_heads "
                f"{self.key_value_heads}"
            )
        if self.head_width % 2:
            raise ValueError(
                f"head_dim (or hidden_size / num_attention_heads) is {self.head_width}; rotary embeddings need an "
                "even number"
            )
        return self
