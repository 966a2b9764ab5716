"""What a file of tiktoken ranks does not say: how text is split before it is merged, and the special tokens.

Sources: tiktoken_ext/openai_public.py of openai/tiktoken, and llama/tokenizer.py of meta-llama/llama3. Patterns are in
the form without possessive quantifiers that tiktoken had before 0.6 and that matches the same; the regular expressions
of the tokenizers library (Oniguruma) read `{1,3}+` otherwise.
"""

from typing import NamedTuple

_GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
_O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3_RESERVED = 256
_END_OF_TEXT = "<|endoftext|>"


class TiktokenEncoding(NamedTuple):
    """A published encoding: its number of ranks, its pattern, and the ids of its special tokens."""

    num_ranks: int
    pattern: str
    special_tokens: dict[str, int]


def _llama3_special() -> dict[str, int]:
    tokens = ["<|begin_of_text|>", "<|end_of_text|>"]
    tokens += [f"<|reserved_special_token_{index}|>" for index in range(4)]
    tokens += ["<|start_header_id|>", "<|end_header_id|>", "<|reserved_special_token_4|>", "<|eot_id|>"]
    tokens += [f"<|reserved_special_token_{index}|>" for index in range(5, _LLAMA3_RESERVED - 5)]
    return {token: 128_000 + index for index, token in enumerate(tokens)}


ENCODINGS = {
    "gpt2": TiktokenEncoding(50_256, _GPT2, {_END_OF_TEXT: 50_256}),
    "r50k_base": TiktokenEncoding(50_256, _GPT2, {_END_OF_TEXT: 50_256}),
    "cl100k_base": TiktokenEncoding(
        100_256,
        _CL100K,
        {
            _END_OF_TEXT: 100_257,
            "<|fim_prefix|>": 100_258,
            "<|fim_middle|>": 100_259,
            "<|fim_suffix|>": 100_260,
            "<|endofprompt|>": 100_276,
        },
    ),
    "o200k_base": TiktokenEncoding(199_998, _O200K, {_END_OF_TEXT: 199_999, "<|endofprompt|>": 200_018}),
    "llama3": TiktokenEncoding(128_000, _CL100K, _llama3_special()),
}
