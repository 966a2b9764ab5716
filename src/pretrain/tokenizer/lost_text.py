"""Text that a byte-level tokenizer drops: its model leaves out the bytes that it has no token for."""

import json
from typing import Any

from tokenizers import Tokenizer, models

# One character at least for each of the 243 bytes that occur in UTF-8: all of one byte, all that end two bytes, and
# two for every byte that begins several, as a normalizer may replace one.
_CODES = [*range(0xC0)]
_CODES += [(lead << 6) + more for lead in range(3, 32) for more in (0, 33)]
_CODES += [0x800, 0x821, *((lead << 12) + more for lead in range(1, 16) for more in (0, 33))]
_CODES += [0x10000, 0x10021, *((lead << 18) + more for lead in range(1, 5) for more in (0, 33))]


def lost_symbols(tokenizer: Tokenizer) -> set[str]:
    """The symbols of bytes that the tokenizer's rules make of texts and that its byte-level BPE model drops.

    A model with a token for the unknown, or with tokens for single bytes (`<0x41>`) to fall back on, drops none.
    """
    model = tokenizer.model
    if not isinstance(model, models.BPE) or model.unk_token is not None or model.byte_fallback:
        return set()
    definition = json.loads(tokenizer.to_str())
    if "ByteLevel" not in _types(definition["pre_tokenizer"]) | _types(definition["normalizer"]):
        return set()
    symbols = {symbol for code in _CODES for symbol in _given_to_the_model(tokenizer, chr(code))}
    return {symbol for symbol in symbols if model.token_to_id(symbol) is None}


def _given_to_the_model(tokenizer: Tokenizer, text: str) -> str:
    if tokenizer.normalizer is not None:
        text = tokenizer.normalizer.normalize_str(text)
    if tokenizer.pre_tokenizer is None:
        return text
    return "".join(piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text))


def _types(component: Any) -> set[str]:
    """The type of a component and of those that it is made of."""
    if isinstance(component, dict):
        return {str(component.get("type"))}.union(*map(_types, component.values()))
    return set().union(*map(_types, component)) if isinstance(component, list) else set()
