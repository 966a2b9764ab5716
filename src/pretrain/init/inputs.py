"""The outside content of `init`: the checkpoint that it starts from."""

from pathlib import Path

from pretrain.artifact import read_manifest
from pretrain.errors import InputError, NotInStoreError
from pretrain.external import ExternalFile, ExternalInput, Surroundings, external_file
from pretrain.init.config import HUB_PREFIX, InitConfig
from pretrain.modeling.folders import CONFIG, weight_files

CHECKPOINT = "model:from"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def external_inputs(config: InitConfig, around: Surroundings) -> list[ExternalInput]:
    """The checkpoint of `init.from`: a hub id by its commit, else by the content of its config.json and weights.

    Its tokenizer counts where an operation reads it; other files (notes, optimizer state) bear on nothing. An artifact
    and a copy of its folder are the same checkpoint.

    Raises:
        InputError: there is no such local folder, or it holds no model with safetensors.
        NotInStoreError: the store has no such artifact.
    """
    if config.from_ is None:
        return []
    if config.origin == "hub":
        repository = config.from_.removeprefix(HUB_PREFIX)
        files = [ExternalFile(repository, f"{HUB_PREFIX}{repository}", f"revision:{config.revision}", 0)]
    elif config.origin == "artifact":
        files = _artifact_files(config.from_, config, around)
    else:
        files = folder_files(_folder(config.from_, around), config, around)
    return [ExternalInput(CHECKPOINT, tuple(files))]


def folder_files(folder: Path, config: InitConfig, around: Surroundings) -> list[ExternalFile]:
    """What counts of a model's folder.

    Raises:
        InputError: it holds no model with safetensors.
    """
    files = [folder / CONFIG, *weight_files(folder)]
    if config.needs_source_tokenizer:
        files += [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]
    return [external_file(file, file.name, around.hashes) for file in files]


def _folder(named: str, around: Surroundings) -> Path:
    folder = around.recipe_folder / Path(named).expanduser()
    if not folder.is_dir():
        raise InputError(
            f"init.from {named!r}: there is no folder {folder}. Give a local folder with {CONFIG} and safetensors, an "
            "artifact of the store (train/<fingerprint>, all 32 digits), or a hub id (owner/name) with `revision`"
        )
    return folder


def _artifact_files(key: str, config: InitConfig, around: Surroundings) -> list[ExternalFile]:
    stage, _, fingerprint = key.partition("/")
    manifest = read_manifest(around.store, stage, fingerprint)
    if manifest is None:
        raise NotInStoreError(
            f"init.from: {around.store.url} has no artifact {key}; `pretrain ls` lists those it has, "
            "`pretrain import` brings one from another store"
        )
    wanted = (CONFIG, *(TOKENIZER_FILES if config.needs_source_tokenizer else ()))
    files = []
    for part in manifest.parts:
        name = part.path.removeprefix("data/")
        if part.path.startswith("data/") and (name in wanted or name.endswith(".safetensors")):
            place = f"{key}/{part.path}"
            location = str(around.store.local_file(place)) if around.store.is_local else f"{around.store.url}/{place}"
            files.append(ExternalFile(name, location, f"sha256:{part.sha256}", part.bytes))
    return files
