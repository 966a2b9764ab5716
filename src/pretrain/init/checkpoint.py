"""The files of `init.from` on this machine: where they lie, copied from the store, or fetched from the hub."""

from pathlib import Path

from pretrain.artifact import Artifact, read_manifest
from pretrain.errors import NotInStoreError
from pretrain.external import ExternalFile, ExternalInput, Surroundings
from pretrain.filehash import FileHashes
from pretrain.init.config import HUB_PREFIX, InitConfig
from pretrain.init.hub import fetch_model
from pretrain.init.inputs import TOKENIZER_FILES, folder_files
from pretrain.store import Store


def local_files(config: InitConfig, checkpoint: ExternalInput, store: Store) -> dict[str, ExternalFile]:
    """The checkpoint's files by name, each with a local path and a sha256.

    Raises:
        InputError: the hub has no such model, or it holds no safetensors.
        StageError: the store or the hub could not be read.
    """
    if config.origin == "hub":
        repository = checkpoint.files[0].location.removeprefix(HUB_PREFIX)
        folder = fetch_model(
            repository, config.revision or "", TOKENIZER_FILES if config.needs_source_tokenizer else ()
        )
        found = folder_files(folder, config, Surroundings(folder, store, FileHashes()))
        return {file.name: file for file in found}
    if config.origin == "artifact" and not store.is_local:
        return _copied(config.from_ or "", checkpoint, store)
    return {file.name: file for file in checkpoint.files}


def tokenizer_folder(files: dict[str, ExternalFile]) -> Path | None:
    """The folder of the checkpoint's tokenizer, or None where it has none."""
    found = files.get(TOKENIZER_FILES[0])
    return None if found is None else Path(found.location).parent


def _copied(key: str, checkpoint: ExternalInput, store: Store) -> dict[str, ExternalFile]:
    stage, _, fingerprint = key.partition("/")
    manifest = read_manifest(store, stage, fingerprint)
    if manifest is None:
        raise NotInStoreError(f"init.from: {key} was removed from {store.url} meanwhile; run its recipe again")
    artifact = Artifact(store, manifest)
    return {
        file.name: ExternalFile(file.name, str(artifact.open_part(f"data/{file.name}")), file.identity, file.bytes)
        for file in checkpoint.files
    }
