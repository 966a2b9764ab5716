"""The outside content of `tokenizer`: the files of an imported tokenizer."""

from collections.abc import Iterable
from pathlib import Path

from pretrain.errors import InputError
from pretrain.external import ExternalFile, ExternalInput, Surroundings, external_file
from pretrain.tokenizer.config import TokenizerConfig

IMPORTED = "tokenizer:imported"
HUB_PREFIX = "hf://"
TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
CHAT_TEMPLATE_FILE = "chat_template.jinja"
VOCAB_FILE = "vocab.json"
MERGES_FILE = "merges.txt"
MODEL_FILE = "tokenizer.model"

# A folder often holds a model as well; nothing else in it bears on the tokenizer.
_BESIDE = (CONFIG_FILE, SPECIAL_TOKENS_FILE, CHAT_TEMPLATE_FILE)
_GPT2_NAMES = ((VOCAB_FILE, MERGES_FILE), ("encoder.json", "vocab.bpe"))
_MODEL_SUFFIXES = (".model", ".tiktoken")
_NEED = (
    "give tokenizer.json or a folder with it, a folder with vocab.json and merges.txt, a SentencePiece .model or a "
    "file of tiktoken ranks; or an id of a hub with `revision: <40 hex digits>`"
)


def external_inputs(config: TokenizerConfig, around: Surroundings) -> list[ExternalInput]:
    """The tokenizer of `tokenizer.import`, by the content of its files; nothing when one is trained.

    One of a hub counts by its commit, and is not fetched yet.

    Raises:
        InputError: there is no such path, or it holds no tokenizer.
    """
    if config.import_ is None:
        return []
    if config.revision is not None:
        location = f"{HUB_PREFIX}{config.import_}"
        return [ExternalInput(IMPORTED, (ExternalFile("hub", location, f"revision:{config.revision}", 0),))]
    path = around.recipe_folder / Path(config.import_).expanduser()
    if path.is_file():
        found = {TOKENIZER_FILE if path.suffix == ".json" else MODEL_FILE: path}
    elif path.is_dir():
        names = [entry.name for entry in path.iterdir() if entry.is_file()]
        found = {name: path / file for name, file in tokenizer_files(names, config.import_).items()}
    else:
        hub = ""
        if config.import_.count("/") == 1:
            hub = " For an id of a hub add `revision:` with the commit, 40 hex digits: a branch can move."
        raise InputError(f"tokenizer.import {config.import_!r}: there is nothing at {path}; {_NEED}.{hub}")
    files = tuple(external_file(file, name, around.hashes) for name, file in found.items())
    return [ExternalInput(IMPORTED, files)]


def tokenizer_files(names: Iterable[str], named: str) -> dict[str, str]:
    """The files of a folder or repository that make up its tokenizer, by the name that they count with.

    tokenizer.json comes first, then GPT-2's two files, then the only .model or .tiktoken file.

    Raises:
        InputError: there is none, or there are several of them.
    """
    present = set(names)
    beside = {name: name for name in _BESIDE if name in present}
    if TOKENIZER_FILE in present:
        return {TOKENIZER_FILE: TOKENIZER_FILE, **beside}
    for vocab, merges in _GPT2_NAMES:
        if {vocab, merges} <= present:
            return {VOCAB_FILE: vocab, MERGES_FILE: merges, **beside}
    ranked = sorted(name for name in present if name.endswith(_MODEL_SUFFIXES))
    if len(ranked) == 1:
        return {MODEL_FILE: ranked[0], **beside}
    shown = ", ".join(sorted(present)[:10]) or "nothing"
    what = f"several tokenizers ({', '.join(ranked[:5])}): name one" if ranked else f"no tokenizer (it has {shown})"
    raise InputError(f"tokenizer.import {named!r} has {what}; {_NEED}")
