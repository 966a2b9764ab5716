"""The outside files that the sources of a recipe mean, and what stands for their content in a fingerprint."""

from pathlib import Path, PurePosixPath

from pretrain.download.config import DownloadConfig, Source
from pretrain.errors import InputError
from pretrain.external import ExternalFile, ExternalInput, Surroundings, local_files


def external_inputs(config: DownloadConfig, around: Surroundings) -> list[ExternalInput]:
    """One input a source, named `source:<name>`, in the order of the recipe.

    Local files count by name and sha256, remote ones by name and what their server calls their version, a hub
    dataset by its commit (a local copy by its files), `python://` by every file that is read.

    Raises:
        InputError: a source names nothing, or what it names cannot be read.
        StageError: a remote source cannot be reached.
    """
    return [ExternalInput(input_name(source), tuple(_files(source, around))) for source in config.sources]


def input_name(source: Source) -> str:
    """`source:<name>`: the key of a source among the external inputs of the stage."""
    return f"source:{source.name}"


def _files(source: Source, around: Surroundings) -> list[ExternalFile]:
    if source.kind == "remote":
        from pretrain.download.remote import remote_files

        files = remote_files(source.uri)
        _require_one_for_sha256(source, files)
        return files
    if source.kind == "python":
        from pretrain.download.python_files import Installation, python_files

        return python_files(source, Installation.running(), around.hashes)
    if source.kind == "hub" and source.hub_folder is None:
        return [ExternalFile(str(source.split), source.uri, f"revision:{source.revision}", 0)]
    return _local_files(source, source.hub_folder or source.path, around)


def _local_files(source: Source, uri: str, around: Surroundings) -> list[ExternalFile]:
    """Local files; hidden ones (`.DS_Store`, `.git/`) of a folder are no data, as for a shell's glob."""
    found = local_files(uri, around)
    files = [file for file in found if not _is_hidden(file.name)]
    if not files and not Path(uri).name.startswith("."):
        raise InputError(f"source {source.name!r}: {uri!r} holds hidden files only; correct the path in the recipe")
    _check_sha256(source, files or found)
    return files or found


def _check_sha256(source: Source, files: list[ExternalFile]) -> None:
    if source.sha256 is None:
        return
    _require_one_for_sha256(source, files)
    digest = files[0].identity.removeprefix("sha256:")
    if digest != source.sha256:
        raise InputError(
            f"source {source.name!r}: {files[0].location} has the sha256 {digest}, the recipe says {source.sha256}; "
            "get the file again, or correct the recipe"
        )


def _require_one_for_sha256(source: Source, files: list[ExternalFile]) -> None:
    if source.sha256 is not None and len(files) != 1:
        raise InputError(
            f"source {source.name!r}: sha256 is that of one file, but {source.uri!r} has {len(files)}; name one"
        )


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(name).parts)
