"""Hub datasets through the `datasets` library, streamed: by id and pinned revision, or from a local folder.

No code of a dataset is run: `datasets` 4 and later know no loading scripts, only data files.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pretrain.download.config import HUB_PREFIX, Source
from pretrain.download.records import Record, Unreadable, row_place
from pretrain.errors import InputError, TransientInputError
from pretrain.external import ExternalFile

_SAVED_MARKERS = ("state.json", "dataset_dict.json")  # what Dataset.save_to_disk leaves behind


def read_hub(file: ExternalFile, source: Source) -> Iterator[Record | Unreadable]:
    """The records of one split; positions are row numbers from 0, in the order that `datasets` streams.

    A record that `datasets` cannot read ends the stream: one `unreadable_dataset` stands for the rest.

    Raises:
        InputError: there is no such dataset, configuration, split or revision.
        StageError: the hub cannot be reached or the connection broke off.
    """
    position = 0
    try:
        for fields in _open(source):
            yield Record(position, row_place(position), dict(fields))
            position += 1
    except (ConnectionError, TimeoutError) as error:
        raise _unreachable(source, error) from error
    except Exception as error:
        if source.hub_folder is None and _is_network_error(error):
            raise _unreachable(source, error) from error
        if position == 0:
            raise InputError(
                f"source {source.name!r}: datasets cannot read {source.uri} (config {source.config!r}, "
                f"split {source.split!r}): {error}; correct the source in the recipe"
            ) from error
        yield Unreadable(position, row_place(position), "unreadable_dataset")


def _open(source: Source) -> Any:
    import datasets  # seconds to import: only for recipes that name a hub dataset

    folder = source.hub_folder
    if folder is not None and any((Path(folder) / marker).exists() for marker in _SAVED_MARKERS):
        saved = datasets.load_from_disk(folder)
        return saved[source.split] if isinstance(saved, datasets.DatasetDict) else saved
    return datasets.load_dataset(
        folder or source.uri.removeprefix(HUB_PREFIX),
        source.config,
        split=source.split,
        revision=source.revision,
        streaming=True,
    )


def _is_network_error(error: Exception) -> bool:
    libraries = ("httpx", "httpcore", "requests", "urllib3", "aiohttp")
    is_system = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
    return is_system or type(error).__module__.split(".")[0] in libraries


def _unreachable(source: Source, error: Exception) -> TransientInputError:
    return TransientInputError(
        f"source {source.name!r}: {source.uri} could not be read ({type(error).__name__}: {error}); "
        "check the network and access to it (HF_TOKEN), then run the same command to resume"
    )
