"""A SentencePiece .model as a tokenizer of the tokenizers library, or a refusal where the two would differ.

The semantics followed are those of normalizer.cc, unigram_model.cc and bpe_model.cc of google/sentencepiece 0.2.
"""

from collections.abc import Callable
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from pretrain.errors import InputError
from pretrain.tokenizer.charsmap import decode_charsmap
from pretrain.tokenizer.config import SentencePieceConfig
from pretrain.tokenizer.merging import merges_of, require_faithful
from pretrain.tokenizer.sentencepiece_model import (
    BPE,
    BYTE,
    CONTROL,
    NORMAL,
    UNIGRAM,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    SentencePieceModel,
    parse_model,
)

_SPACE = "\u2581"
_INSTEAD = "import its tokenizer.json instead, if there is one"


def sentencepiece_tokenizer(data: bytes, config: SentencePieceConfig) -> tuple[Tokenizer, dict[str, str]]:
    """The tokenizer of a .model file, and the special tokens that it names by role.

    Raises:
        InputError: the file is no SentencePiece model, is damaged, or cannot be expressed as it is.
    """
    try:
        model = parse_model(data)
    except ValueError as error:
        raise InputError(
            f"tokenizer.import: the file is neither a SentencePiece model nor tiktoken ranks, or is cut: {error}"
        ) from error
    _require_expressible(model, config)
    tokenizer = Tokenizer(_unigram(model) if model.model_type == UNIGRAM else _bpe(model))
    tokenizer.normalizer = _normalizer(model)
    splits = _splits(model)
    if splits:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)
    tokenizer.decoder = _decoder(model)
    user_defined = [piece.text for piece in model.pieces if piece.type == USER_DEFINED]
    # as text after normalisation, where SentencePiece looks for them too
    tokenizer.add_tokens([AddedToken(text, normalized=True, special=False) for text in user_defined])
    special = [piece.text for piece in model.pieces if piece.type in (CONTROL, UNKNOWN)]
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in special])
    return tokenizer, _roles(model)


def _require_expressible(model: SentencePieceModel, config: SentencePieceConfig) -> None:
    types = [piece.type for piece in model.pieces]
    texts = [piece.text for piece in model.pieces]
    trimmed = model.add_dummy_prefix or model.remove_extra_whitespaces or bool(model.charsmap)
    refusals: list[tuple[bool, str]] = [
        (model.model_type not in (UNIGRAM, BPE), f"its model type {model.model_type} is neither unigram nor BPE"),
        (types.count(UNKNOWN) != 1, f"it has {types.count(UNKNOWN)} pieces for unknown text instead of one"),
        (not set(types) <= {NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE}, _unusual_types(types)),
        (len(set(texts)) < len(texts), "it has a piece twice"),
        (model.treat_whitespace_as_suffix, "it puts the space behind its word (treat_whitespace_as_suffix)"),
        (not model.escape_whitespaces, "it leaves spaces as they are (escape_whitespaces: false)"),
        (model.denormalizes, "it changes decoded text (denormalizer_spec)"),
        (model.byte_fallback and types.count(BYTE) != 256, f"byte_fallback with {types.count(BYTE)} bytes, not 256"),
        (
            USER_DEFINED in types and (trimmed or model.model_type == UNIGRAM),
            "it has user-defined symbols, and changes white space or characters around them",
        ),
    ]
    for is_refused, reason in refusals:
        if is_refused:
            raise InputError(f"tokenizer.import: the SentencePiece model cannot be converted: {reason}; {_INSTEAD}")
    if model.charsmap:
        _require_known_charsmap(model, config)


def _unusual_types(types: list[int]) -> str:
    return "it has unused pieces" if UNUSED in types else f"it has pieces of unknown types: {sorted(set(types))}"


def _require_known_charsmap(model: SentencePieceModel, config: SentencePieceConfig) -> None:
    if config.normalizer == "exact":
        raise InputError(
            f"tokenizer.import: its normaliser {model.normalizer_name!r} cannot be converted exactly: the tokenizers "
            "library reads its rules otherwise for decomposed letters (Hangul jamo stay apart, a second mark is lost). "
            "Set tokenizer.sentencepiece: {normalizer: precompiled} to take that, as transformers does for such models"
        )
    try:
        decode_charsmap(model.charsmap)
    except ValueError as error:
        raise InputError(f"tokenizer.import: the rules of its normaliser are damaged: {error}") from error


def _unigram(model: SentencePieceModel) -> Any:
    # SentencePiece takes the least score of normal pieces alone, the library that of all
    vocab = [(piece.text, piece.score if piece.type == NORMAL else 0.0) for piece in model.pieces]
    unk_id = next(index for index, piece in enumerate(model.pieces) if piece.type == UNKNOWN)
    make: Callable[..., Any] = models.Unigram
    return make(vocab, unk_id=unk_id, byte_fallback=model.byte_fallback)


def _bpe(model: SentencePieceModel) -> Any:
    vocab = {piece.text: index for index, piece in enumerate(model.pieces)}
    normal = sorted((piece for piece in model.pieces if piece.type == NORMAL), key=lambda piece: -piece.score)
    made = [piece for piece in normal if len(piece.text) > 1]
    names = {piece.text for piece in normal}
    lost = next((piece.text for piece in made if not set(piece.text) <= names), None)
    if lost is not None or len({piece.score for piece in made}) < len(made):
        reason = "pieces share a score" if lost is None else f"the piece {lost!r} has characters that are no pieces"
        raise InputError(f"tokenizer.import: the SentencePiece model cannot be converted: {reason}; {_INSTEAD}")
    tokens = [piece.text for piece in made]
    merges = merges_of(tokens, {piece.text: rank for rank, piece in enumerate(normal)})
    require_faithful(tokens, merges, vocab)
    unk_token = next(piece.text for piece in model.pieces if piece.type == UNKNOWN)
    return models.BPE(vocab=vocab, merges=merges, unk_token=unk_token, fuse_unk=True, byte_fallback=model.byte_fallback)


def _normalizer(model: SentencePieceModel) -> Any:
    steps: list[Any] = []
    if model.charsmap:
        steps.append(normalizers.Precompiled(model.charsmap))
    if model.remove_extra_whitespaces:
        # a U+2581 of the text itself goes from its end too
        ends = (Regex(r"\A +"), Regex(rf"[ {_SPACE}]+\z"))
        steps += [*(normalizers.Replace(end, "") for end in ends), normalizers.Replace(Regex(" {2,}"), " ")]
    steps.append(normalizers.Replace(" ", _SPACE))
    if model.add_dummy_prefix:
        steps.append(normalizers.Prepend(_SPACE))
    return normalizers.Sequence(steps)


def _splits(model: SentencePieceModel) -> list[Any]:
    """Cuts where no piece reaches across, so that a long text is not one word; and in bytes that are spelled out."""
    splits: list[Any] = []
    is_inside = any(_SPACE in piece.text.lstrip(_SPACE) for piece in model.pieces if piece.type != BYTE)
    if not is_inside and any(piece.text == _SPACE for piece in model.pieces):
        splits.append(pre_tokenizers.Split(Regex(f"{_SPACE}+[^{_SPACE}]*"), "isolated"))
    if model.byte_fallback and model.model_type == UNIGRAM:
        # `<0x41>` in a text is six characters; the library's unigram would take the byte's own piece
        splits.append(pre_tokenizers.Split(Regex("(?<=<)(?=0x[0-9A-F]{2}>)"), "isolated"))
    return splits


def _decoder(model: SentencePieceModel) -> Any:
    steps: list[Any] = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if model.add_dummy_prefix:
        steps.append(decoders.Strip(" ", 1, 0))
    return decoders.Sequence(steps)


def _roles(model: SentencePieceModel) -> dict[str, str]:
    roles = {}
    for role, token_id in model.role_ids.items():
        if 0 <= token_id < len(model.pieces) and model.pieces[token_id].type in (CONTROL, UNKNOWN):
            roles[role] = model.pieces[token_id].text
    return roles
