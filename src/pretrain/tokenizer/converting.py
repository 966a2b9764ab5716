"""An imported tokenizer as tokenizer.json, whatever it came as."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from pretrain.errors import InputError
from pretrain.sequences.encoder import special_token
from pretrain.tokenizer.config import SentencePieceConfig, TiktokenConfig, TokenizerConfig
from pretrain.tokenizer.gpt2 import gpt2_tokenizer
from pretrain.tokenizer.inputs import (
    CHAT_TEMPLATE_FILE,
    CONFIG_FILE,
    MERGES_FILE,
    MODEL_FILE,
    SPECIAL_TOKENS_FILE,
    TOKENIZER_FILE,
    VOCAB_FILE,
)
from pretrain.tokenizer.sentencepiece import sentencepiece_tokenizer
from pretrain.tokenizer.tiktoken_ranks import is_ranks_file, tiktoken_tokenizer

ROLES = ("bos_token", "eos_token", "pad_token", "unk_token")
GENERIC_CLASS = "PreTrainedTokenizerFast"  # transformers' class for any tokenizer.json


class Options(NamedTuple):
    """What a recipe says of an import beside where it lies."""

    special_roles: dict[str, str]
    tiktoken: TiktokenConfig | None
    sentencepiece: SentencePieceConfig | None

    @classmethod
    def of(cls, config: TokenizerConfig) -> "Options":
        """The options of a recipe."""
        return cls(config.special_roles(), config.tiktoken, config.sentencepiece)


def huggingface_files(contents: Mapping[str, bytes], options: Options) -> dict[str, bytes]:
    """The files of a Hugging Face folder, by name: tokenizer.json as it came where there is one, else converted.

    tokenizer_config.json is the outside one, special_tokens_map.json and the recipe merged. Code that the outside
    folder refers to (`auto_map`) is left out: nothing from outside is executed.

    Raises:
        InputError: a file is damaged, or the tokenizer cannot be expressed as tokenizer.json.
    """
    config, special = json_object(contents, CONFIG_FILE), json_object(contents, SPECIAL_TOKENS_FILE)
    is_ranks = is_ranks_file(contents.get(MODEL_FILE, b""))
    _require_options_fit(contents, options, is_ranks)
    definition, roles = contents.get(TOKENIZER_FILE), dict[str, str]()
    if definition is None:
        named = _named(config, special, options.special_roles)
        tokenizer, roles = _converted(contents, options, config, set(named.values()))
        _add_named(tokenizer, named)
        definition = (tokenizer.to_str(pretty=True) + "\n").encode()
        config["tokenizer_class"] = GENERIC_CLASS
        config.setdefault("clean_up_tokenization_spaces", False)  # decoded text keeps its spaces before punctuation
    config.update({**roles, **_named(config, special, options.special_roles)})
    config.pop("auto_map", None)
    config.setdefault("tokenizer_class", GENERIC_CLASS)
    shown = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    try:
        files = {TOKENIZER_FILE: definition, CONFIG_FILE: shown.encode()}
    except UnicodeEncodeError as error:
        raise InputError(f"tokenizer.import: {CONFIG_FILE} or the recipe has half a character: {error}") from error
    if CHAT_TEMPLATE_FILE in contents:
        files[CHAT_TEMPLATE_FILE] = contents[CHAT_TEMPLATE_FILE]
    return files


def json_object(contents: Mapping[str, bytes], name: str) -> dict[str, Any]:
    """A file as a JSON object, empty where it is not there.

    Raises:
        InputError: it is something else.
    """
    try:
        value = json.loads(contents.get(name, b"{}"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"tokenizer.import: {name} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"tokenizer.import: {name} holds {type(value).__name__}, not a JSON object")
    return value


def _converted(
    contents: Mapping[str, bytes], options: Options, config: Mapping[str, Any], special: set[str]
) -> tuple[Tokenizer, dict[str, str]]:
    if VOCAB_FILE in contents:
        return gpt2_tokenizer(contents[VOCAB_FILE], contents[MERGES_FILE], config, special), {}
    data = contents[MODEL_FILE]
    if options.tiktoken is not None:
        return tiktoken_tokenizer(data, options.tiktoken), {}
    return sentencepiece_tokenizer(data, options.sentencepiece or SentencePieceConfig())


def _add_named(tokenizer: Tokenizer, named: Mapping[str, str]) -> None:
    known = [token for token in named.values() if tokenizer.token_to_id(token) is not None]
    tokenizer.add_special_tokens(list(dict.fromkeys(known)))


def _named(config: Mapping[str, Any], special: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Special tokens by role: those of the recipe, then of the config, then of the map."""
    named = {}
    for role in ROLES:
        token = given.get(role) or special_token(dict(config), role) or special_token(dict(special), role)
        if token is not None:
            named[role] = token
    return named


def _require_options_fit(contents: Mapping[str, bytes], options: Options, is_ranks: bool) -> None:
    if is_ranks and options.tiktoken is None:
        raise InputError(
            "tokenizer.import: a file of tiktoken ranks does not say how text is split; add tokenizer.tiktoken: "
            "{encoding: cl100k_base}, or {pattern: ..., special_tokens: [...]}"
        )
    if options.tiktoken is not None and not is_ranks:
        raise InputError(f"tokenizer.tiktoken: {', '.join(contents)} is no file of tiktoken ranks; leave it out")
    if options.sentencepiece is not None and MODEL_FILE not in contents:
        raise InputError(f"tokenizer.sentencepiece: {', '.join(contents)} is no SentencePiece model; leave it out")
