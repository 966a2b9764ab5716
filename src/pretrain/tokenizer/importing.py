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
from pretrain.tokenizer.lost_text import lost_symbols
from pretrain.tokenizer.probe import PROBE
from pretrain.tokenizer.saving import copy_folder

# The largest published vocabularies have some 260,000 tokens; an id is a row of the model's embedding and of counts.
_MAX_VOCAB_SIZE = 1 << 24


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
        try:
            _require_usable(folder)
        except BaseException as error:  # tokenizers raises bare Exception, or panics, where a model fails on a text
            if type(error) is not Exception and type(error).__name__ != "PanicException":
                raise
            raise InputError(
                f"tokenizer.import: the tokenizers library cannot encode text with it: {str(error)[:300]}; get it anew"
            ) from error
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
    if getattr(plain.model, "dropout", None):
        raise InputError(
            f"tokenizer.import: its model drops merges at random (dropout {plain.model.dropout}), so that no text has "
            "the same ids twice: set model.dropout to null in its tokenizer.json"
        )
    encoder = Encoder(folder)
    if encoder.vocab_size > _MAX_VOCAB_SIZE:
        raise InputError(
            f"tokenizer.import: an id of its {plain.get_vocab_size():,} tokens is {encoder.vocab_size - 1:,}, and a "
            f"model would have a row for each up to it; up to {_MAX_VOCAB_SIZE:,} are taken: number its tokens anew"
        )
    _require_no_text_lost(plain)  # it writes out the tokenizer, with a line for every id that is missing
    _require_plain_specials(encoder, special_token(config, "unk_token"))
    _require_same_ids(folder, plain)


def _require_no_text_lost(plain: Tokenizer) -> None:
    lost = sorted(lost_symbols(plain))
    if lost:
        raise InputError(
            f"tokenizer.import: its vocabulary has no token for {len(lost)} of the bytes that text is made of (such as "
            f"{lost[0]!r}) and none for the unknown, so that they would vanish from texts without a word: import one "
            "with tokens for all bytes, or add those to its tokenizer.json"
        )


def _require_plain_specials(encoder: Encoder, unk_token: str | None) -> None:
    """Text that spells a special token, or one named by a role, must not become it."""
    tokenizer = encoder.tokenizer
    special = {token.content: id for id, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    # the token for unknown text may stand for any character, but not where it begins or ends documents as well
    unknown = {tokenizer.token_to_id(token) for token in (unk_token or "", "<unk>", "[UNK]")}
    framing = {encoder.bos_token_id, encoder.eos_token_id} - {None}
    for token_id in (framing | {encoder.pad_token_id} - {None, *unknown}) - set(special.values()):
        raise InputError(
            f"tokenizer.import: {tokenizer.id_to_token(token_id or 0)!r} begins, ends or pads documents, but is not "
            "marked as special in its tokenizer.json, so that text is encoded to it: name one of "
            f"{', '.join(sorted(special)[:5]) or 'those of another tokenizer'} in the recipe, or mark it there"
        )
    bad = (set(special.values()) - unknown) | framing
    spelled = {*special, *(encoder.decode([token_id]) for token_id in special.values())}
    texts = [text for token in sorted(spelled) for text in (token, f"a{token}b", f"a {token} b", f"\n{token}\n")]
    for text, ids in zip(texts, encoder.encode(texts), strict=True):
        if bad.intersection(ids):
            raise InputError(
                f"tokenizer.import: the text {text!r} is encoded to the special token itself; whoever writes it in a "
                "document would end or begin documents. Import a tokenizer whose model keeps special tokens apart, or "
                "name others as bos_token and eos_token"
            )


def _require_same_ids(folder: Path, plain: Tokenizer) -> None:
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        encoded = [loaded.encode(text, add_special_tokens=False) for text in PROBE]
    except Exception as error:  # what a config of any content leads its classes to; tokenizers raises bare Exception
        raise InputError(
            f"tokenizer.import: transformers cannot load it: {error}. Set tokenizer_class in its "
            f"tokenizer_config.json to {GENERIC_CLASS}, or name the tokenizer.json file alone"
        ) from error
    # Some classes of transformers build a tokenizer of their own; pack uses tokenizer.json.
    for text, ids in zip(PROBE, encoded, strict=True):
        if ids != plain.encode(text, add_special_tokens=False).ids:
            raise InputError(
                f"tokenizer.import: transformers loads it as {type(loaded).__name__}, which gives other ids "
                f"than its tokenizer.json for {text[:40]!r}; name that file alone, and the special tokens in the recipe"
            )
    added = loaded.get_vocab().items() - plain.get_vocab(with_added_tokens=True).items()
    if added:
        token, token_id = min(added, key=lambda pair: pair[1])
        raise InputError(
            f"tokenizer.import: transformers loads it with {len(added)} tokens more than its tokenizer.json has, such "
            f"as {token!r} with id {token_id}, for which a model would have no row: name that file alone, and the "
            "special tokens in the recipe"
        )
