"""The data files of one split of a local dataset folder, which are read like any other file.

Which files those are, `datasets` says: by the `configs:` of README.md, else by names. It reads a split as one table,
where a broken line or a new column ends all that follows; the readers of this package lose the record alone. What only
`datasets` can read stays with it: other kinds of files, zip archives, and options of README.md that no source has.
"""

import dataclasses
from pathlib import Path
from typing import Any

from pretrain.download.config import Source
from pretrain.errors import InputError
from pretrain.external import ExternalFile

_SAVED_MARKERS = ("state.json", "dataset_dict.json")  # what Dataset.save_to_disk leaves behind
# The builder of `datasets` and what reads its files; `auto` tells JSON Lines from an array.
_FORMATS = {"json": "auto", "csv": "csv", "parquet": "parquet", "arrow": "arrow", "text": "text"}
_SEPARATORS = {"line": "\n", "paragraph": "\n\n", "document": None}  # the `sample_by` of text
_DELIMITERS = (",", "\t", ";", "|")
# Which files, and what they are called; all else in a builder's config is about how they are read.
_ABOUT_FILES = ("name", "version", "data_dir", "data_files", "description")


def is_saved_to_disk(folder: str) -> bool:
    """Whether `Dataset.save_to_disk` wrote the folder."""
    return any((Path(folder) / marker).exists() for marker in _SAVED_MARKERS)


def dataset_error(source: Source, error: Exception, position: int = 0) -> InputError:
    """What to raise where `datasets` gives up a source after so many rows."""
    message = " ".join(str(error).split())
    place = f" after row {position - 1}, and nothing of what follows" if position else ""
    return InputError(
        f"source {source.name!r}: datasets cannot read {source.uri} (config {source.config!r}, "
        f"split {source.split!r}){place}: {message}; correct the source in the recipe"
    )


def split_files(source: Source, files: tuple[ExternalFile, ...]) -> tuple[Source, tuple[ExternalFile, ...]] | None:
    """The source with the options its files are read by, and those of the folder's files that make up its split.

    None where `datasets` itself has to read them.

    Raises:
        InputError: there is no such configuration or split, or a file of it is none of the folder's.
    """
    folder = source.hub_folder
    if folder is None or is_saved_to_disk(folder):
        return None
    config = _builder_config(source, folder)
    options = _options(config)
    paths = list(dict.fromkeys(config.data_files[source.split]))  # two patterns of README.md may match one file
    if options is None or any(path.endswith(".zip") for path in paths):
        return None
    by_path = {Path(folder, file.name).as_posix(): file for file in files}
    by_path |= {Path(folder).resolve().joinpath(file.name).as_posix(): file for file in files}
    missing = [path for path in paths if path not in by_path]
    if missing:
        raise InputError(
            f"source {source.name!r}: {missing[0]} of split {source.split!r} is no file of {folder} that counts "
            "(it lies outside, is hidden or behind a linked folder): copy it to a plain name in the folder"
        )
    return source.model_copy(update=options), tuple(by_path[path] for path in paths)


def _builder_config(source: Source, folder: str) -> Any:
    """The configuration that `datasets` makes of the folder; it has files of the split."""
    import datasets  # seconds to import: only for recipes that name a dataset

    try:
        config = datasets.load_dataset_builder(folder, source.config).config
    except Exception as error:  # whatever stands in a README.md
        raise dataset_error(source, error) from error
    if source.split not in (config.data_files or {}):
        splits = ", ".join(map(str, config.data_files or {})) or "none"
        raise dataset_error(source, ValueError(f"there is no such split (there are: {splits})"))
    return config


def _options(config: Any) -> dict[str, Any] | None:
    """Options of a source that read as a builder's config says; None where there are none for that."""
    module = type(config).__module__.rpartition(".")[2]
    if module not in _FORMATS:
        return None
    options: dict[str, Any] = {"format": _FORMATS[module]}
    defaults = type(config)()
    given = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name not in _ABOUT_FILES and getattr(config, field.name) != getattr(defaults, field.name)
    }
    if module == "text":
        sample_by = given.pop("sample_by", defaults.sample_by)
        if sample_by not in _SEPARATORS:
            return None
        options["separator"] = _SEPARATORS[sample_by]
    if module == "csv":
        options["delimiter"] = given.pop("sep", None) or given.pop("delimiter", None) or "auto"
        if options["delimiter"] not in (*_DELIMITERS, "auto"):
            return None
    return None if given else options
