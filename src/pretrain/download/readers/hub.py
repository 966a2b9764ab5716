"""Datasets that the `datasets` library streams: by hub id and pinned revision, or saved to disk.

No code of a dataset is run: `datasets` 4 and later know no loading scripts, only data files.
"""

from collections.abc import Iterator
from typing import Any

from pretrain.download.config import HUB_PREFIX, Source
from pretrain.download.hub_files import dataset_error, is_saved_to_disk
from pretrain.download.records import Record, row_place
from pretrain.errors import TransientInputError
from pretrain.external import ExternalFile


def read_hub(file: ExternalFile, source: Source) -> Iterator[Record]:
    """The records of one split; positions are row numbers from 0, in the order that `datasets` streams.

    Raises:
        InputError: there is no such dataset, configuration, split or revision; or `datasets` cannot read a record,
            and so none after it: nobody knows how many those are, so no ledger row can stand for them.
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
        raise dataset_error(source, error, position) from error


def _open(source: Source) -> Any:
    import datasets  # seconds to import: only for recipes that name a hub dataset

    folder = source.hub_folder
    if folder is not None and is_saved_to_disk(folder):
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
