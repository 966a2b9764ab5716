"""Rows of 64-bit integers, moved between units of work through files that are cut by partition.

A file holds the rows of one unit, partition after partition; where each begins (its bounds) goes with the unit's
receipt to the units that read it, each of which reads its own slices and no others.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pretrain.stage import Receipt, UnitFiles

UInt64Array = NDArray[np.uint64]
Int64Array = NDArray[np.int64]


class Slice(NamedTuple):
    """Rows from `first` up to `last` of the file `scratch/<name>.bin`."""

    name: str
    first: int
    last: int


def write_rows(files: UnitFiles, name: str, rows: UInt64Array) -> None:
    """Writes rows of shape (n, columns)."""
    with files.create(_path(name)) as output, output.path.open("wb") as file:
        np.ascontiguousarray(rows).tofile(file)
        output.rows = len(rows)


def write_partitions(
    files: UnitFiles, name: str, rows: UInt64Array, partitions: Int64Array, num_partitions: int
) -> list[int]:
    """Writes rows partition after partition, in their own order within one.

    Args:
        files: of the unit.
        name: of the file.
        rows: shape (n, columns).
        partitions: of every row, shape (n,).
        num_partitions: how many there are.

    Returns:
        the bounds: where each partition begins, and the number of rows last.
    """
    order = np.argsort(partitions, kind="stable")
    write_rows(files, name, rows[order])
    return [0, *np.cumsum(np.bincount(partitions, minlength=num_partitions)).tolist()]


def bounds_of(sorted_indices: NDArray[np.integer], starts: Sequence[int]) -> list[int]:
    """Where in rows sorted by document index each group of documents begins, and the number of rows last."""
    found: list[int] = np.searchsorted(sorted_indices, np.array(starts, sorted_indices.dtype)).tolist()
    return found


def slices(receipts: Sequence[Receipt], number: int) -> tuple[Slice, ...]:
    """The slices of partition (or group) `number` in the files of the units of a phase.

    The counts of such a unit have `files`: pairs of a name and the bounds in that file.
    """
    found = (
        Slice(name, bounds[number], bounds[number + 1])
        for receipt in receipts
        for name, bounds in receipt.stats["files"]
    )
    return tuple(each for each in found if each.last > each.first)


def read_slice(files: UnitFiles, chosen: Slice, num_columns: int) -> UInt64Array:
    """The rows of one slice, shape (n, num_columns)."""
    width = 8 * num_columns
    path = files.scratch(_path(chosen.name))
    flat = np.fromfile(path, np.uint64, (chosen.last - chosen.first) * num_columns, offset=chosen.first * width)
    return flat.reshape(-1, num_columns)


def read_slices(files: UnitFiles, chosen: Sequence[Slice], num_columns: int) -> UInt64Array:
    """The rows of several slices, one after the other. Shape (n, num_columns)."""
    rows = np.empty((sum(each.last - each.first for each in chosen), num_columns), np.uint64)
    position = 0
    for each in chosen:
        found = read_slice(files, each, num_columns)
        rows[position : position + len(found)] = found
        position += len(found)
    return rows


def _path(name: str) -> str:
    return f"scratch/{name}.bin"
