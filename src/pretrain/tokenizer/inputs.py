"""The outside content of `tokenizer`: the files of an imported tokenizer."""

from pathlib import Path

from pretrain.errors import InputError
from pretrain.external import ExternalInput, Surroundings, external_file
from pretrain.tokenizer.config import TokenizerConfig

IMPORTED = "tokenizer:imported"
TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
CHAT_TEMPLATE_FILE = "chat_template.jinja"

# A folder often holds a model as well; nothing else in it bears on the tokenizer.
_KNOWN_FILES = (TOKENIZER_FILE, CONFIG_FILE, SPECIAL_TOKENS_FILE, CHAT_TEMPLATE_FILE)


def external_inputs(config: TokenizerConfig, around: Surroundings) -> list[ExternalInput]:
    """The tokenizer of `tokenizer.import`, by the content of its files; nothing when one is trained.

    Raises:
        InputError: there is no such path, or it holds no tokenizer.json.
    """
    if config.import_ is None:
        return []
    path = around.recipe_folder / Path(config.import_).expanduser()
    if path.is_file() and path.suffix == ".json":
        found = [(path, TOKENIZER_FILE)]
    elif (path / TOKENIZER_FILE).is_file():
        found = [(path / name, name) for name in _KNOWN_FILES if (path / name).is_file()]
    else:
        raise InputError(_describe(config.import_, path))
    files = tuple(external_file(file, name, around.hashes) for file, name in found)
    return [ExternalInput(IMPORTED, files)]


def _describe(named: str, path: Path) -> str:
    need = "give a local folder with tokenizer.json, or a tokenizer.json file"
    if path.is_dir():
        names = sorted(file.name for file in path.iterdir())[:10]
        return f"tokenizer.import {named!r}: {path} has no tokenizer.json (it has {', '.join(names)}); {need}"
    if path.is_file():
        return f"tokenizer.import {named!r}: {path.name} is no tokenizer.json; {need}"
    hub = " An id of a model hub is not looked up: download its tokenizer first." if named.count("/") == 1 else ""
    return f"tokenizer.import {named!r}: there is nothing at {path}; {need}.{hub}"
