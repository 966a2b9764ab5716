"""What a SentencePiece .model file says (its messages: sentencepiece_model.proto of google/sentencepiece)."""

import math
from dataclasses import dataclass, field
from typing import Any

from pretrain.tokenizer.protobuf import fields, float32, length_delimited, signed

UNIGRAM, BPE = 1, 2
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


@dataclass(frozen=True)
class Piece:
    """One entry of the vocabulary; its id is its place in the file."""

    text: str
    score: float
    type: int


@dataclass(frozen=True)
class SentencePieceModel:
    """A parsed model; defaults are those of the .proto.

    Attributes:
        pieces: the vocabulary in order of id.
        model_type: `UNIGRAM`, `BPE`, or one of the types that are not converted.
        byte_fallback: whether a character outside the vocabulary becomes its bytes.
        treat_whitespace_as_suffix: whether the sign for a space follows its word.
        role_ids: ids by role (`bos_token`, ...); -1 where the model has none.
        charsmap: the rules of the normaliser, compiled; empty for `identity`.
        normalizer_name: such as `nmt_nfkc`.
        add_dummy_prefix: whether a space is put before the text.
        remove_extra_whitespaces: whether spaces at the ends and repeated ones go.
        escape_whitespaces: whether a space is written as U+2581.
        denormalizes: whether decoded text passes rules of its own.
    """

    pieces: list[Piece] = field(default_factory=list)
    model_type: int = UNIGRAM
    byte_fallback: bool = False
    treat_whitespace_as_suffix: bool = False
    role_ids: dict[str, int] = field(
        default_factory=lambda: {"unk_token": 0, "bos_token": 1, "eos_token": 2, "pad_token": -1}
    )
    charsmap: bytes = b""
    normalizer_name: str = ""
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True
    escape_whitespaces: bool = True
    denormalizes: bool = False


_TRAINER_FLAGS = {24: "treat_whitespace_as_suffix", 35: "byte_fallback"}
_ROLE_FIELDS = {40: "unk_token", 41: "bos_token", 42: "eos_token", 43: "pad_token"}
_NORMALIZER_FLAGS = {3: "add_dummy_prefix", 4: "remove_extra_whitespaces", 5: "escape_whitespaces"}


def parse_model(data: bytes) -> SentencePieceModel:
    """The model in a .model file.

    Raises:
        ValueError: the bytes are no SentencePiece model, or are cut off.
    """
    pieces: list[Piece] = []
    values: dict[str, Any] = {}
    for number, value in fields(data):
        if number == 1:
            pieces.append(_piece(length_delimited(value)))
        elif number == 2:
            values |= _trainer(length_delimited(value))
        elif number == 3:
            values |= _normalizer(length_delimited(value))
        elif number == 5:
            values["denormalizes"] = bool(_normalizer(length_delimited(value)).get("charsmap"))
    if not pieces or "role_ids" not in values:
        raise ValueError(f"{len(pieces)} pieces, and {'a' if 'role_ids' in values else 'no'} description of training")
    return SentencePieceModel(pieces=pieces, **values)


def _piece(message: bytes) -> Piece:
    text, score, kind = "", 0.0, NORMAL
    for number, value in fields(message):
        if number == 1:
            text = length_delimited(value).decode()
        elif number == 2:
            score = float32(value)
        elif number == 3:
            kind = signed(value)
    if not text or not math.isfinite(score):
        raise ValueError(f"the piece {text!r} has the score {score}")
    return Piece(text, score, kind)


def _trainer(message: bytes) -> dict[str, Any]:
    values: dict[str, Any] = {"role_ids": SentencePieceModel().role_ids}
    for number, value in fields(message):
        if number == 3:
            values["model_type"] = signed(value)
        elif number in _TRAINER_FLAGS:
            values[_TRAINER_FLAGS[number]] = bool(signed(value))
        elif number in _ROLE_FIELDS:
            values["role_ids"][_ROLE_FIELDS[number]] = signed(value)
    return values


def _normalizer(message: bytes) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for number, value in fields(message):
        if number == 1:
            values["normalizer_name"] = length_delimited(value).decode()
        elif number == 2:
            values["charsmap"] = length_delimited(value)
        elif number in _NORMALIZER_FLAGS:
            values[_NORMALIZER_FLAGS[number]] = bool(signed(value))
    return values
