"""Outside files as local, decompressed ones, for formats that are read from their end: parquet, Arrow, zip."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pretrain.download import remote
from pretrain.download.content import chunks, is_compressed, open_raw
from pretrain.external import ExternalFile


@contextlib.contextmanager
def local_content(file: ExternalFile) -> Iterator[Path]:
    """A path to the decompressed content: the file itself, the copy of a remote one, or a temporary file.

    Raises:
        UnreadableContentError: it is compressed and cannot be decompressed to its end.
        InputError: it was changed, removed or cannot be read.
        StageError: the connection failed on the way.
    """
    with open_raw(file) as raw:
        needs_copy = is_compressed(raw.read(8))
    if needs_copy:
        with tempfile.NamedTemporaryFile(prefix="pretrain-") as copy:
            for chunk in chunks(file):
                copy.write(chunk)
            copy.flush()
            yield Path(copy.name)
    elif remote.is_remote(file):
        from pretrain.download.remote_copies import copied

        with copied(file) as path:
            yield path
    else:
        yield Path(file.location)
