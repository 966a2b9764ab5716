"""Text to token ids with the tokenizer of a tokenizer artifact, the same way in every stage."""

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models
from tokenizers.pre_tokenizers import ByteLevel

from pretrain.documents import Document
from pretrain.errors import InputError

# An Encoding holds about 100 bytes a token, so that 1 MiB of text is some 30 MB while it is encoded.
ENCODE_BATCH_BYTES = 1 << 20


class Encoder:
    """Encodes text as plain text: no special token is added, and one typed by an author stays ordinary text.

    Args:
        folder: a local folder with `tokenizer.json`, and `tokenizer_config.json` for the ids of special
            tokens.

    Raises:
        InputError: the folder holds no tokenizer that can be used.
    """

    def __init__(self, folder: Path) -> None:
        self.tokenizer = load_plain_tokenizer(folder / "tokenizer.json")
        self._for_text = without_special_pieces(self.tokenizer)
        self._config_path = folder / "tokenizer_config.json"

    @cached_property
    def vocab_size(self) -> int:
        """One more than the largest token id, added tokens counted."""
        return max(self._vocab.values()) + 1

    @property
    def bos_token_id(self) -> int | None:
        """The id of the token that begins a document, or None where the tokenizer names none."""
        return self._special_id("bos_token")

    @property
    def eos_token_id(self) -> int | None:
        """The id of the token that ends a document, or None where the tokenizer names none."""
        return self._special_id("eos_token")

    @property
    def pad_token_id(self) -> int | None:
        """The id of the padding token, or None where the tokenizer names none."""
        return self._special_id("pad_token")

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text."""
        encodings = self._for_text.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, special tokens shown by name."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False))

    def token_bytes(self) -> NDArray[np.int32]:
        """UTF-8 bytes of each token, (vocab_size,) int32; 0 for special tokens and unused ids."""
        decoder = self.tokenizer.decoder
        state = json.loads(decoder.__getstate__()) if decoder is not None else None
        is_byte_level = "ByteLevel" in _component_types(state)
        added = self.tokenizer.get_added_tokens_decoder()
        sizes = np.zeros(self.vocab_size, dtype=np.int32)
        for token, token_id in self._vocab.items():
            if token_id in added:
                sizes[token_id] = 0 if added[token_id].special else len(token.encode())
            else:
                sizes[token_id] = len(token) if is_byte_level else _piece_bytes(token)
        return sizes

    @cached_property
    def _vocab(self) -> dict[str, int]:
        # a quarter of a second for 50,000 tokens, each time that it is asked for
        return self.tokenizer.get_vocab(with_added_tokens=True)

    @cached_property
    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(self._config_path.read_bytes())
        return config

    def _special_id(self, role: str) -> int | None:
        token = special_token(self._config, role)
        return None if token is None else self.tokenizer.token_to_id(token)


def load_plain_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a tokenizer.json, set to read all text as plain text, never cut or padded.

    Raises:
        InputError: it is not there, or is no tokenizer.json.
    """
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the tokenizer's folder") from error
    except Exception as error:  # tokenizers raises bare Exception for a file that it cannot parse
        raise InputError(f"{path} is not a tokenizer.json of the tokenizers library: {error}") from error
    tokenizer.encode_special_tokens = True
    # A published tokenizer.json may carry the truncation and padding of somebody's training.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def without_special_pieces(tokenizer: Tokenizer) -> Tokenizer:
    """The same tokenizer for text alone: its unigram model does not find the special tokens by their spelling.

    A unigram model looks up every entry of its vocabulary in the text, `</s>` as well as words. Ids stay as they are.
    """
    if not isinstance(tokenizer.model, models.Unigram):
        return tokenizer
    definition = json.loads(tokenizer.to_str())
    model = definition["model"]
    special = {token["id"] for token in definition["added_tokens"] if token["special"]}
    if not any(token_id < len(model["vocab"]) for token_id in special):
        return tokenizer
    for token_id in special:
        if token_id < len(model["vocab"]):
            model["vocab"][token_id][0] = ""  # no text has a piece of no characters
    definition["added_tokens"] = [token for token in definition["added_tokens"] if not token["special"]]
    return Tokenizer.from_str(json.dumps(definition))


def special_token(config: dict[str, Any], role: str) -> str | None:
    """The token that a tokenizer_config.json names as `bos_token`, `eos_token` or `pad_token`, if any.

    Raises:
        InputError: what stands there is no token.
    """
    token = config.get(role)
    name = token.get("content") if isinstance(token, dict) else token
    if not isinstance(name, str) and token is not None:
        raise InputError(f"the tokenizer's config has {role} {str(token)[:60]!r}: write it as a string")
    return name


def text_batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    """Consecutive documents in lists of about `ENCODE_BATCH_BYTES` of text, which bounds memory."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if size >= ENCODE_BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def byte_alphabet() -> list[str]:
    """The 256 characters that stand for the 256 bytes in a byte-level vocabulary, sorted."""
    return sorted(ByteLevel.alphabet())


def _piece_bytes(token: str) -> int:
    # SentencePiece: `<0x0A>` is one byte, and U+2581 stands for a space.
    is_byte = len(token) == 6 and token.startswith("<0x") and token.endswith(">")
    return 1 if is_byte else len(token.replace("\u2581", " ").encode())


def _component_types(component: Any) -> set[str]:
    if not isinstance(component, dict):
        return set()
    nested = component.get("decoders", [])
    return {component["type"]}.union(*(_component_types(item) for item in nested))
