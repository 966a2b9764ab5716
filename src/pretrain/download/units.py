"""How the files of sources are cut into units of work: many small files together, a large one alone."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pretrain.download.config import DownloadConfig, Source
from pretrain.download.hub_files import split_files
from pretrain.download.inputs import input_name
from pretrain.external import ExternalFile, ExternalInput, require_unchanged
from pretrain.stage import part_name

# Seconds of work a unit: few enough that a kill loses little, large enough that parts are not confetti.
UNIT_FILE_BYTES = 16 << 20


class Unit(NamedTuple):
    """Files of one source that one worker reads in their order, and the name of the parts they become."""

    name: str
    source: Source
    files: tuple[ExternalFile, ...]


def cut_units(config: DownloadConfig, external: Mapping[str, ExternalInput]) -> list[Unit]:
    """The units of all sources, in the order of the recipe and of file names; never by number of workers.

    Raises:
        InputError: a local copy of a hub dataset was changed since it was planned, or has no such configuration or
            split.
    """
    groups = [
        (read_as, group)
        for source in config.sources
        for read_as, files in [_what_is_read(source, external[input_name(source)].files)]
        for group in _groups(read_as, files)
    ]
    return [Unit(part_name(index), source, group) for index, (source, group) in enumerate(groups)]


def _what_is_read(source: Source, files: tuple[ExternalFile, ...]) -> tuple[Source, tuple[ExternalFile, ...]]:
    """The files that are read, of those that count for the fingerprint, and the source with the options to do so."""
    if source.kind != "hub":
        return source, files
    if source.hub_folder is not None:
        for file in files:
            require_unchanged(file)
        found = split_files(source, files)
        if found is not None:
            return found
    # One stream, whatever files it is made of.
    return source, (ExternalFile(str(source.split), source.uri, f"revision:{source.revision}", 0),)


def _groups(source: Source, files: tuple[ExternalFile, ...]) -> Iterator[tuple[ExternalFile, ...]]:
    ordered = sorted(files, key=lambda file: file.name)
    if source.max_documents is not None:
        yield tuple(ordered)
        return
    group: list[ExternalFile] = []
    size = 0
    for file in ordered:
        if group and size + file.bytes > UNIT_FILE_BYTES:
            yield tuple(group)
            group, size = [], 0
        group.append(file)
        size += file.bytes
    yield tuple(group)
