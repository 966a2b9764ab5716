"""Bringing a tokenizer from outside: its tokenizer.json byte for byte, its special tokens named."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from pretrain.errors import InputError
from pretrain.external import ExternalInput, require_unchanged
from pretrain.sequences.encoder import load_plain_tokenizer, special_token
from pretrain.stage import Stats, UnitFiles
from pretrain.temporary import temporary_folder
from pretrain.tokenizer.inputs import CONFIG_FILE, SPECIAL_TOKENS_FILE, TOKENIZER_FILE
from pretrain.tokenizer.saving import copy_folder

_ROLES = ("bos_token", "eos_token", "pad_token", "unk_token")

_PROBE = " A naïve café:\n\n\tdef f(x_1): return 3.14 * x_1  # 漢字 🙂"

# transformers' class for any tokenizer.json; used where the outside folder names none.
_GENERIC_CLASS = "PreTrainedTokenizerFast"


class ImportUnit(NamedTuple):
    """The outside files, and the special tokens that the recipe names by role."""

    imported: ExternalInput
    special_roles: dict[str, str]


def write_imported(files: UnitFiles, unit: ImportUnit) -> Stats:
    """Unit: writes the imported tokenizer as a Hugging Face folder under `data/`.

    Raises:
        InputError: it cannot be loaded, a special token is not in its vocabulary, or a file changed
            meanwhile.
    """
    contents = {file.name: require_unchanged(file).read_bytes() for file in unit.imported.files}
    config = merged_config(contents, unit.special_roles)
    with temporary_folder() as folder:
        for file_name, data in contents.items():
            (folder / file_name).write_bytes(data)
        (folder / SPECIAL_TOKENS_FILE).unlink(missing_ok=True)  # merged into the config
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
        _require_usable(folder, config)
        copy_folder(files, folder)
    return {}


def merged_config(contents: Mapping[str, bytes], special_roles: Mapping[str, str]) -> dict[str, Any]:
    """The tokenizer_config.json to write: the outside one, special_tokens_map.json and the recipe merged.

    Code that the outside folder refers to (`auto_map`) is left out: nothing from outside is executed.

    Raises:
        InputError: a file is not a JSON object.
    """
    config = _json_object(contents, CONFIG_FILE)
    special = _json_object(contents, SPECIAL_TOKENS_FILE)
    for role in _ROLES:
        token = special_roles.get(role) or special_token(config, role) or special_token(special, role)
        if token is not None:
            config[role] = token
    config.pop("auto_map", None)
    config.setdefault("tokenizer_class", _GENERIC_CLASS)
    return config


def _json_object(contents: Mapping[str, bytes], name: str) -> dict[str, Any]:
    try:
        value = json.loads(contents.get(name, b"{}"))
    except ValueError as error:
        raise InputError(f"tokenizer.import: {name} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"tokenizer.import: {name} holds {type(value).__name__}, not a JSON object")
    return value


def _require_usable(folder: Path, config: Mapping[str, Any]) -> None:
    plain = load_plain_tokenizer(folder / TOKENIZER_FILE)
    for role in _ROLES:
        token = special_token(dict(config), role)
        if token is not None and plain.token_to_id(token) is None:
            raise InputError(
                f"tokenizer.import: {role} {token!r} is not in the vocabulary "
                f"of {plain.get_vocab_size()} tokens; set tokenizer.{role} to a token that is"
            )
    _require_same_ids(folder, plain)


def _require_same_ids(folder: Path, plain: Tokenizer) -> None:
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise InputError(
            f"tokenizer.import: transformers cannot load it: {error}. Set tokenizer_class in its "
            f"tokenizer_config.json to {_GENERIC_CLASS}, or name the tokenizer.json file alone"
        ) from error
    # Some classes of transformers build a tokenizer of their own; pack uses tokenizer.json.
    if loaded.encode(_PROBE, add_special_tokens=False) != plain.encode(_PROBE, add_special_tokens=False).ids:
        raise InputError(
            f"tokenizer.import: transformers loads it as {type(loaded).__name__}, which gives other ids "
            "than its tokenizer.json; name that file alone, and the special tokens in the recipe"
        )
