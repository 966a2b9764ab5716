"""Sizes by name. Parameters are given for the vocabulary that the source has; the tokenizer of a recipe has its own.

| name | parameters | vocabulary | shape of |
|---|---|---|---|
| 1M | 1,049,728 | 2,048 | ours, for tests on a CPU |
| 5M | 5,180,672 | 4,096 | ours, for tests on a CPU |
| 15M | 15,191,712 | 32,000 | llama2.c stories15M (karpathy/llama2.c, README) |
| 42M | 41,689,600 | 32,000 | llama2.c stories42M |
| 124M | 123,551,232 | 50,257 | GPT-2 small's depth, width and heads (Radford et al. 2019), SwiGLU of 8/3 |
| 135M | 134,515,008 | 49,152 | HuggingFaceTB/SmolLM-135M |
| 248M | 248,013,824 | 32,000 | the course Pretraining LLMs, upstage/TinySolar-248m-4k |
| 360M | 361,821,120 | 49,152 | HuggingFaceTB/SmolLM-360M |
| 1B | 1,235,814,400 | 128,256 | meta-llama/Llama-3.2-1B |
| 1.1B | 1,100,048,384 | 32,000 | TinyLlama (arXiv 2401.02385, table 1) |
| 1.7B | 1,711,376,384 | 49,152 | HuggingFaceTB/SmolLM-1.7B |
| 3B | 3,212,749,824 | 128,256 | meta-llama/Llama-3.2-3B |
| 7B | 6,738,415,616 | 32,000 | Llama 2 7B (arXiv 2307.09288) |
| 8B | 8,030,261,248 | 128,256 | Llama 3 8B (arXiv 2407.21783, table 3) |

A size sets depth, width, heads, context, the base of the rotary periods and whether embeddings are tied. The scaled
rotary periods of Llama 3.2 are for its longer context and are no part of its size.
"""

from typing import Any, NamedTuple


class _Size(NamedTuple):
    layers: int
    hidden: int
    intermediate: int
    heads: int
    key_value_heads: int
    positions: int
    rope_theta: float
    is_tied: bool


_SIZES = {
    "1M": _Size(4, 128, 384, 4, 2, 512, 1e4, True),
    "5M": _Size(6, 256, 640, 8, 4, 1024, 1e4, True),
    "15M": _Size(6, 288, 768, 6, 6, 1024, 1e4, True),
    "42M": _Size(8, 512, 1376, 8, 8, 1024, 1e4, True),
    "124M": _Size(12, 768, 2048, 12, 12, 1024, 1e4, True),
    "135M": _Size(30, 576, 1536, 9, 3, 2048, 1e4, True),
    "248M": _Size(12, 1024, 4096, 32, 8, 2048, 1e4, False),
    "360M": _Size(32, 960, 2560, 15, 5, 2048, 1e4, True),
    "1B": _Size(16, 2048, 8192, 32, 8, 8192, 5e5, True),
    "1.1B": _Size(22, 2048, 5632, 32, 4, 2048, 1e4, False),
    "1.7B": _Size(24, 2048, 8192, 32, 32, 2048, 1e4, True),
    "3B": _Size(28, 3072, 8192, 24, 8, 8192, 5e5, True),
    "7B": _Size(32, 4096, 11008, 32, 32, 4096, 1e4, False),
    "8B": _Size(32, 4096, 14336, 32, 8, 8192, 5e5, False),
}
SIZE_NAMES = tuple(_SIZES)


def size_values(name: str) -> dict[str, Any]:
    """The keys of `init.architecture` for the size of a name.

    Raises:
        ValueError: there is no such size.
    """
    if name not in _SIZES:
        raise ValueError(f"there is no size {name!r}; there are {', '.join(SIZE_NAMES)}")
    size = _SIZES[name]
    return {
        "num_hidden_layers": size.layers,
        "hidden_size": size.hidden,
        "intermediate_size": size.intermediate,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.key_value_heads,
        "max_position_embeddings": size.positions,
        "rope_theta": size.rope_theta,
        "tie_word_embeddings": size.is_tied,
    }
