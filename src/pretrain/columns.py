"""Some columns of a parquet part, without fetching the rest of it from a remote store.

For looking at data (`why`, `diff`), not for stages: a stage reads whole parts, each held against its sha256.
"""

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pretrain.artifact import Artifact, PartRecord
from pretrain.errors import DamagedArtifactError
from pretrain.store import Store


@contextlib.contextmanager
def open_columns(artifact: Artifact, part: PartRecord) -> Iterator[pq.ParquetFile]:
    """The parquet file of a part: what is read of it is what crosses the network.

    Raises:
        DamagedArtifactError: the part is missing or differs from the manifest, as far as was looked.
    """
    if artifact.store.is_local:
        with pq.ParquetFile(artifact.open_part(part)) as file:
            yield file
        return
    key = f"{artifact.key}/{part.path}"
    try:
        # pre_buffer: the column chunks of a row group come in one request where they lie side by side
        with pq.ParquetFile(pa.PythonFile(_Ranges(artifact.store, key, part.bytes), mode="r"), pre_buffer=True) as file:
            yield file
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise DamagedArtifactError(
            f"{key} is damaged or missing ({error}): `pretrain verify {artifact.key}` lists all damage; "
            "run the recipe again to rebuild it"
        ) from error


def select_rows(
    artifact: Artifact,
    folder: str,
    by: Sequence[str],
    fits: Callable[[pa.Table], pa.ChunkedArray],
    columns: Sequence[str],
) -> Iterator[tuple[PartRecord, dict[str, Any]]]:
    """The rows of all parts under a folder that fit, each with its part, in the order of the artifact.

    Of a row group without such a row, only the columns asked about are read.

    Args:
        artifact: where to look.
        folder: `data/`, `ledger/` or `metrics/`.
        by: the columns that `fits` needs.
        fits: whether each row of a table of those columns fits, as booleans or nulls.
        columns: the columns wanted.
    """
    for part in artifact.parts(folder):
        if part.rows == 0:
            continue
        with open_columns(artifact, part) as file:
            for group in range(file.num_row_groups):
                fitting = fits(file.read_row_group(group, columns=list(by)))
                if pc.any(fitting).as_py():
                    found = file.read_row_group(group, columns=list(columns)).filter(fitting)
                    yield from ((part, row) for row in found.to_pylist())


class _Ranges(io.RawIOBase):
    """A file whose every read is one request."""

    def __init__(self, store: Store, key: str, num_bytes: int) -> None:
        super().__init__()
        self._store, self._key, self._num_bytes = store, key, num_bytes
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._num_bytes}[whence]
        self._position = start + offset
        return self._position

    def size(self) -> int:
        return self._num_bytes

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._num_bytes - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted == 0:
            return b""
        data = self._store.read_range(self._key, self._position, wanted)
        if len(data) != wanted:
            raise FileNotFoundError(f"{len(data)} bytes at {self._position} of {self._key}, where {wanted} should be")
        self._position += wanted
        return data
