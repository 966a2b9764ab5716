"""The outside content of `init`: the checkpoint that it starts from."""

from pathlib import Path

from pretrain.errors import InputError
from pretrain.external import ExternalInput, Surroundings, external_file
from pretrain.init.config import InitConfig
from pretrain.modeling.folders import CONFIG, weight_files

CHECKPOINT = "model:from"


def external_inputs(config: InitConfig, around: Surroundings) -> list[ExternalInput]:
    """The checkpoint of `init.from`, by the content of its config.json and weights.

    Other files of the folder (tokenizer, notes, optimizer state) bear on nothing and are not counted.

    Raises:
        InputError: there is no such local folder, or it holds no model with safetensors.
    """
    if config.from_ is None:
        return []
    folder = around.recipe_folder / Path(config.from_).expanduser()
    if not folder.is_dir():
        raise InputError(
            f"init.from {config.from_!r}: there is no folder {folder}. Give a local folder with {CONFIG} and "
            "safetensors: download a model of a hub first; for an artifact, give its data folder in the store"
        )
    files = [folder / CONFIG, *weight_files(folder)]
    return [ExternalInput(CHECKPOINT, tuple(external_file(file, file.name, around.hashes) for file in files))]
