"""Connected components of related documents: what is decided together, and what can be decided apart.

Components only cut the work; who goes is decided by similarity with a document that stays (`pretrain.dedup.decision`).
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pretrain.dedup.exact import RELATION_COLUMNS
from pretrain.dedup.graph import flatten, unite
from pretrain.dedup.shuffle import Slice, read_slice
from pretrain.dedup.verification import LINK_COLUMNS
from pretrain.dedup.words import REPRESENTED, SAME_WORDS_COLUMNS
from pretrain.errors import StageError
from pretrain.stage import Stats, UnitFiles

COMPONENT_COLUMNS = 2
_CHUNK_ROWS = 1 << 20


class ComponentsUnit(NamedTuple):
    """All relations: exact, of equal words, and verified pairs. `starts` as in `ExactGroupUnit`."""

    name: str
    exact: tuple[Slice, ...]
    same_words: tuple[Slice, ...]
    links: tuple[Slice, ...]
    starts: list[int]
    budget_bytes: int


def find_components(files: UnitFiles, unit: ComponentsUnit) -> Stats:
    """Writes (index, lowest index of the component) of every document that has a relation, in order of index.

    Raises:
        StageError: the one array over all documents does not fit the memory limit.
    """
    num_documents = unit.starts[-1]
    dtype = np.dtype(np.int32 if num_documents < 1 << 31 else np.int64)
    needed = num_documents * (dtype.itemsize + 1)
    if needed > unit.budget_bytes:
        raise StageError(
            f"connected components of {num_documents} documents take {needed >> 20} MiB beside what Python and its "
            f"libraries take, but dedup.memory_limit_bytes leaves {unit.budget_bytes >> 20} MiB: raise it by "
            f"{(needed - unit.budget_bytes >> 20) + 1} MiB and run again; what is done is kept"
        )
    parents = np.arange(num_documents, dtype=dtype)
    for slices, num_columns in (
        (unit.exact, RELATION_COLUMNS),
        (unit.same_words, SAME_WORDS_COLUMNS),
        (unit.links, LINK_COLUMNS),
    ):
        for chosen in slices:
            for first in range(chosen.first, chosen.last, _CHUNK_ROWS):
                piece = Slice(chosen.name, first, min(first + _CHUNK_ROWS, chosen.last))
                rows = read_slice(files, piece, num_columns)
                if slices is unit.same_words:
                    rows = rows[rows[:, 2] == REPRESENTED]
                unite(parents, rows[:, 0].astype(dtype), rows[:, 1].astype(dtype))
    is_shared = flatten(parents)
    return _write_components(files, unit, parents, is_shared)


def _write_components(files: UnitFiles, unit: ComponentsUnit, parents: np.ndarray, is_shared: np.ndarray) -> Stats:
    bounds = [0]
    with files.create(f"scratch/{unit.name}.bin") as output, output.path.open("wb") as file:
        for start, stop in pairwise(unit.starts):
            indices = np.flatnonzero(is_shared[start:stop]) + start
            np.stack([indices, parents[indices]], axis=1).astype(np.uint64).tofile(file)
            bounds.append(bounds[-1] + len(indices))
        output.rows = bounds[-1]
    return {"files": [(unit.name, bounds)], "related": bounds[-1]}
