"""The sizes of a Llama model: what decides its tensors, its parameter count and its FLOPs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pretrain.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """Sizes of a decoder of the Llama architecture, named as in its config.json."""

    vocab_size: int
    num_hidden_layers: int
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "ModelShape":
        """The shape in a config.json, with the defaults that transformers' LlamaConfig has for absent keys.

        Raises:
            InputError: it is not a Llama model, or a size is missing or no positive integer.
        """
        if config.get("model_type") != "llama":
            raise InputError(
                f"config.json has model_type {config.get('model_type')!r}; only 'llama' models can be used"
            )
        hidden_size = _size(config, "hidden_size")
        heads = _size(config, "num_attention_heads")
        return cls(
            vocab_size=_size(config, "vocab_size"),
            num_hidden_layers=_size(config, "num_hidden_layers"),
            hidden_size=hidden_size,
            intermediate_size=_size(config, "intermediate_size"),
            num_attention_heads=heads,
            num_key_value_heads=_size(config, "num_key_value_heads", heads),
            head_dim=_size(config, "head_dim", hidden_size // heads),
            max_position_embeddings=_size(config, "max_position_embeddings", 2048),
            tie_word_embeddings=bool(config.get("tie_word_embeddings", False)),
            attention_bias=bool(config.get("attention_bias", False)),
            mlp_bias=bool(config.get("mlp_bias", False)),
        )


def _size(config: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = config.get(key)
    if value is None:
        value = default
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"config.json has {key} {value!r}; it must be a positive integer")
    return value
