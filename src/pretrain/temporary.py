"""Folders in the system's temporary folder."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pretrain.store import space_errors


@contextlib.contextmanager
def temporary_folder(prefix: str = "pretrain-") -> Iterator[Path]:
    """A folder for the time of a block.

    Raises:
        StoreFullError: there is no space for what the block writes to it.
    """
    with (
        space_errors("writing to the temporary folder", tempfile.gettempdir()),
        tempfile.TemporaryDirectory(prefix=prefix) as folder,
    ):
        yield Path(folder)
