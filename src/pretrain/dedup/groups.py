"""Documents that are equal in a key: the same normalised text, or the same sequence of words.

Documents with the same words have the same n-gram set, so that one of them, the representative, stands for
all in LSH and in verification: a page that occurs a million times is compared once.

Work is cut by key (`key modulo num_partitions`), so that a unit holds the keys of one partition, not of the
corpus.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pretrain.dedup.kernels import UInt64Array
from pretrain.dedup.signatures import Corpus, Int64Array, ReadScratch, read_columns
from pretrain.stage import Stats, UnitFiles

# About 400 MB in a unit: keys of 16 bytes, indices, and the sort's copies.
DOCUMENTS_PER_PARTITION = 1 << 22


class GroupUnit(NamedTuple):
    """One partition of one kind of key.

    name: of the file, `scratch/<name>.npy`.
    columns: the two uint64 columns of the key.
    needs_words: leave out documents without words.
    """

    corpus: Corpus
    name: str
    columns: tuple[str, str]
    needs_words: bool
    partition: int
    num_partitions: int


def num_partitions(corpus: Corpus) -> int:
    """Into how many partitions keys are cut: it depends on the corpus alone, never on the workers."""
    return int(max(1, -(-int(corpus.starts[-1]) // DOCUMENTS_PER_PARTITION)))


def group_partition(files: UnitFiles, unit: GroupUnit) -> Stats:
    """Writes (document index, group) of every document whose key another one has; int64, shape (members, 2).

    A group's number is the lowest index in it. The members of a group stand together, in order of index.
    """
    indices, keys = [np.empty(0, np.int64)], [np.empty((0, 2), np.uint64)]
    for start, (high, low, num_words) in read_columns(files.scratch, unit.corpus, [*unit.columns, "num_words"]):
        wanted = high % np.uint64(unit.num_partitions) == unit.partition
        if unit.needs_words:
            wanted &= num_words > 0
        indices.append(np.flatnonzero(wanted) + start)
        keys.append(np.stack([high[wanted], low[wanted]], axis=1))
    members, groups = group_equal(np.concatenate(indices), np.concatenate(keys))
    rows = np.stack([members, members[groups]], axis=1)
    with files.create(f"scratch/{unit.name}.npy") as output, output.path.open("wb") as file:
        np.save(file, rows)
        output.rows = len(rows)
    return {"members": len(rows)}


def group_equal(indices: Int64Array, keys: UInt64Array) -> tuple[Int64Array, NDArray[np.int64]]:
    """The members of groups of two and more equal keys.

    Args:
        indices: shape (n,), increasing.
        keys: shape (n, columns).

    Returns:
        indices of the members, group after group and increasing within one; and for every member the position
        (in that array) where its group begins.
    """
    order = np.lexsort(keys.T[::-1])  # stable: equal keys stay in order of index
    ordered = keys[order]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    sizes = np.diff(np.append(np.flatnonzero(is_first), len(order)))
    shared_sizes = sizes[sizes > 1]
    members = indices[order[np.repeat(sizes > 1, sizes)]]
    starts = np.cumsum(shared_sizes) - shared_sizes
    return members, np.repeat(starts, shared_sizes)


def read_groups(scratch: ReadScratch, names: tuple[str, ...]) -> Int64Array:
    """The (document index, group) rows of all partitions, shape (members, 2)."""
    return np.concatenate([np.empty((0, 2), np.int64), *(np.load(scratch(f"scratch/{n}.npy")) for n in names)])
