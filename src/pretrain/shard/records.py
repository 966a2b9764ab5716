"""What is known of each document before any is moved: hashes of its id, and what a mixture asks about.

The files lie under `scratch/` and are mapped, so that a corpus of any size is planned in bounded memory.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pretrain.artifact import Artifact, PartRecord
from pretrain.shard.clusters import Clusters, find_clusters
from pretrain.stage import Stats, UnitFiles

Keys = NDArray[np.uint64]

# source: number of the source in its input part; bytes: of UTF-8 text; size_class: see `Clusters`.
TRAITS = np.dtype([("bytes", "<u8"), ("source", "<u4"), ("size_class", "<u2")])


class Records(NamedTuple):
    """The documents of one input part in order of arrival.

    hashes: (num_documents, 2) uint64, see `document_hashes`.
    traits: (num_documents,) of `TRAITS`; None where nothing asks about them.
    sources: the names that the numbers of `traits` stand for.
    first_arrival: documents in the parts before this one.
    """

    hashes: Keys
    traits: NDArray[np.void] | None
    sources: tuple[str, ...]
    first_arrival: int


class RecordsUnit(NamedTuple):
    """One input part.

    has_traits: whether sources and bytes are asked about.
    clusters: what is asked about the clusters of documents; None where no document is in one.
    name: of the files written.
    """

    artifact: Artifact
    part: PartRecord
    seed: int
    has_traits: bool
    clusters: Clusters | None
    name: str


def document_hashes(ids: Sequence[str], seed: int) -> Keys:
    """The (split, order) hashes of documents, (len(ids), 2) uint64, uniform over 64 bits and independent."""
    base = hashlib.blake2b(f"{seed}\0".encode(), digest_size=16, person=b"pretrain.shard")
    digests = bytearray()
    for document_id in ids:
        hasher = base.copy()
        hasher.update(document_id.encode())
        digests += hasher.digest()
    return np.frombuffer(bytes(digests), dtype="<u8").astype(np.uint64).reshape(-1, 2)


def write_records(files: UnitFiles, unit: RecordsUnit) -> Stats:
    """Writes the hashes of an input part's documents, and their traits where they are asked about.

    Returns:
        documents_in; `sources` that stand in the part; `row_bytes`, of all columns as parquet encodes them.
    """
    sources: dict[str, int] = {}
    ids: list[pa.Array] = []
    hashes, traits = [np.empty((0, 2), np.uint64)], [np.empty(0, TRAITS)]
    columns = ["id", "source", "text"] if unit.has_traits else ["id"]
    row_bytes = 0
    with pq.ParquetFile(unit.artifact.open_part(unit.part)) as file:
        for index in range(file.num_row_groups):
            row_bytes += file.metadata.row_group(index).total_byte_size
            group = file.read_row_group(index, columns=columns)
            ids += group["id"].chunks
            hashes.append(document_hashes(group["id"].to_pylist(), unit.seed))
            if unit.has_traits:
                traits.append(_traits(group, sources))
    of_hashes, of_traits = np.concatenate(hashes), np.concatenate(traits)
    if unit.clusters is not None:
        found = find_clusters(files, unit.clusters, pa.chunked_array(ids, pa.string()))
        of_hashes[found.rows, 0] = document_hashes(found.clusters, unit.seed)[:, 0]
        if unit.has_traits:
            of_traits["size_class"][found.rows] = found.size_classes
    _save(files, f"{unit.name}.hashes.npy", of_hashes)
    if unit.has_traits:
        _save(files, f"{unit.name}.traits.npy", of_traits)
    return {"documents_in": len(of_hashes), "sources": list(sources), "row_bytes": row_bytes}


def _traits(group: pa.Table, sources: dict[str, int]) -> NDArray[np.void]:
    """The traits of a row group, without size classes; sources that are not numbered yet get a number."""
    traits = np.zeros(group.num_rows, TRAITS)
    names = pc.dictionary_encode(group["source"]).combine_chunks()
    numbers = [sources.setdefault(name, len(sources)) for name in names.dictionary.to_pylist()]
    traits["source"] = np.array(numbers, np.uint32)[names.indices.to_numpy()]
    traits["bytes"] = pc.binary_length(group["text"]).to_numpy()
    return traits


class RecordFile(NamedTuple):
    """Where the records of an input part lie on this machine; `traits` is None where nothing asks about them."""

    hashes: Path
    traits: Path | None
    sources: tuple[str, ...]
    first_arrival: int

    def map(self) -> Records:
        """The records, mapped."""
        hashes = np.load(self.hashes, mmap_mode="r", allow_pickle=False)
        traits = None if self.traits is None else np.load(self.traits, mmap_mode="r", allow_pickle=False)
        return Records(hashes, traits, self.sources, self.first_arrival)


class RecordFiles(Sequence[Records]):
    """The records of all input parts, mapped anew each time one is asked for: none stays in memory."""

    def __init__(self, files: Sequence[RecordFile]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, index: int) -> Records: ...
    @overload
    def __getitem__(self, index: slice) -> "RecordFiles": ...
    def __getitem__(self, index: int | slice) -> "Records | RecordFiles":
        return RecordFiles(self._files[index]) if isinstance(index, slice) else self._files[index].map()


def find_records(files: UnitFiles, name: str, sources: Sequence[str], first_arrival: int) -> RecordFile:
    """The records of an input part, as `write_records` named them; no sources say that there are no traits."""
    traits = files.scratch(f"{name}.traits.npy") if sources else None
    return RecordFile(files.scratch(f"{name}.hashes.npy"), traits, tuple(sources), first_arrival)


def _save(files: UnitFiles, path: str, array: np.ndarray) -> None:
    with files.create(path) as output, output.path.open("wb") as file:
        np.save(file, array)
