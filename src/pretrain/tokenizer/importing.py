"""Bringing a tokenizer from outside as a Hugging Face folder, its special tokens named."""

import json
from pathlib import Path
from typing import NamedTuple

from tokenizers import Tokenizer

from pretrain.errors import InputError
from pretrain.external import ExternalInput, require_unchanged
from pretrain.sequences.encoder import Encoder, load_plain_tokenizer, special_token
from pretrain.stage import Stats, UnitFiles
from pretrain.temporary import temporary_folder
from pretrain.tokenizer.converting import GENERIC_CLASS, ROLES, Options, huggingface_files
from pretrain.tokenizer.hub import hub_contents
from pretrain.tokenizer.inputs import CONFIG_FILE, HUB_PREFIX, TOKENIZER_FILE
from pretrain.tokenizer.probe import PROBE
from pretrain.tokenizer.saving import copy_folder


class ImportUnit(NamedTuple):
    """The outside files, and what the recipe says of them."""

    imported: ExternalInput
    options: Options


def write_imported(files: UnitFiles, unit: ImportUnit) -> Stats:
    """Unit: writes the imported tokenizer as a Hugging Face folder under `data/`.

    Raises:
        InputError: it cannot be loaded or converted, a special token is not in its vocabulary or is what text is
            encoded to, or a file changed meanwhile.
        StageError: the hub cannot be reached.
    """
    outside = unit.imported.files
    if outside[0].location.startswith(HUB_PREFIX):
        contents = hub_contents(outside[0])
    else:
        contents = {file.name: require_unchanged(file).read_bytes() for file in outside}
    with temporary_folder() as folder:
        for name, data in huggingface_files(contents, unit.options).items():
            (folder / name).write_bytes(data)
        _require_usable(folder)
        copy_folder(files, folder)
    return {}


def _require_usable(folder: Path) -> None:
    plain = load_plain_tokenizer(folder / TOKENIZER_FILE)
    config = json.loads((folder / CONFIG_FILE).read_bytes())
    for role in ROLES:
        token = special_token(config, role)
        if token is not None and plain.token_to_id(token) is None:
            raise InputError(
                f"tokenizer.import: {role} {token!r} is not in the vocabulary "
                f"of {plain.get_vocab_size()} tokens; set tokenizer.{role} to a token that is"
            )
    _require_plain_specials(folder, special_token(config, "unk_token"))
    _require_same_ids(folder, plain)


def _require_plain_specials(folder: Path, unk_token: str | None) -> None:
    """Text that spells a special token must not become it."""
    encoder = Encoder(folder)
    special = {token.content: id for id, token in encoder.tokenizer.get_added_tokens_decoder().items() if token.special}
    unknown = {special.get(unk_token or ""), special.get("<unk>"), special.get("[UNK]")}  # may stand for any character
    texts = [text for token in special for text in (token, f"a{token}b", f"a {token} b", f"\n{token}\n")]
    bad = set(special.values()) - unknown
    for text, ids in zip(texts, encoder.encode(texts), strict=True):
        if bad.intersection(ids):
            raise InputError(
                f"tokenizer.import: the text {text!r} is encoded to the special token itself; whoever writes it in a "
                "document would end or begin documents. Import a tokenizer whose model keeps special tokens apart"
            )


def _require_same_ids(folder: Path, plain: Tokenizer) -> None:
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise InputError(
            f"tokenizer.import: transformers cannot load it: {error}. Set tokenizer_class in its "
            f"tokenizer_config.json to {GENERIC_CLASS}, or name the tokenizer.json file alone"
        ) from error
    # Some classes of transformers build a tokenizer of their own; pack uses tokenizer.json.
    for text in PROBE:
        if loaded.encode(text, add_special_tokens=False) != plain.encode(text, add_special_tokens=False).ids:
            raise InputError(
                f"tokenizer.import: transformers loads it as {type(loaded).__name__}, which gives other ids "
                f"than its tokenizer.json for {text[:40]!r}; name that file alone, and the special tokens in the recipe"
            )
