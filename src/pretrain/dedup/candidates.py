"""Candidate pairs, each once and in order, and the n-gram sets of the documents in them."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pretrain.dedup.bands import PAIR_COLUMNS, unique_rows
from pretrain.dedup.config import MinHashConfig
from pretrain.dedup.corpus import Group, Piece
from pretrain.dedup.repeats import Edits
from pretrain.dedup.shingles import ngram_set
from pretrain.dedup.shuffle import Int64Array, Slice, UInt64Array, bounds_of, read_slice, read_slices, write_rows
from pretrain.dedup.signatures import read_minima
from pretrain.dedup.texts import TextSource
from pretrain.stage import Stats, UnitFiles

# As in `pretrain.dedup.bands`.
_PAIR_BYTES = 64


class CandidateUnit(NamedTuple):
    """The pairs whose left document is from `first` up to `last`; `starts` as in `ExactGroupUnit`."""

    name: str
    slices: tuple[Slice, ...]
    first: int
    last: int
    starts: list[int]


class NgramUnit(NamedTuple):
    """The candidates among the documents of a piece of one part.

    slices: of the sorted documents that the candidate units found in its group of parts.
    """

    name: str
    piece: Piece
    slices: tuple[Slice, ...]
    edits: Edits | None
    config: MinHashConfig


def candidate_ranges(group: Group, num_pairs: int, budget_bytes: int) -> list[tuple[int, int]]:
    """Cuts a group into ranges of left documents so that the pairs of one fit the budget, as far as they are even."""
    num_ranges = max(1, -(-2 * num_pairs * _PAIR_BYTES // budget_bytes))
    cuts = np.linspace(group.start, group.stop, num_ranges + 1).astype(np.int64).tolist()
    return [(first, last) for first, last in pairwise(cuts) if last > first]


def merge_pairs(files: UnitFiles, unit: CandidateUnit) -> Stats:
    """Writes the pairs of a range, each once, and the documents in them."""
    found = [np.empty((0, PAIR_COLUMNS), np.uint64)]
    for chosen in unit.slices:
        pairs = read_slice(files, chosen, PAIR_COLUMNS)
        first, last = np.searchsorted(pairs[:, 0], np.array([unit.first, unit.last], np.uint64))
        found.append(pairs[first:last].copy())
    pairs = unique_rows(np.concatenate(found))
    documents = np.unique(pairs)
    write_rows(files, f"{unit.name}-pairs", pairs)
    write_rows(files, f"{unit.name}-documents", documents[:, None])
    return {
        "files": [(f"{unit.name}-documents", bounds_of(documents, unit.starts))],
        "candidate_pairs": len(pairs),
    }


def cut_ngrams(files: UnitFiles, unit: NgramUnit) -> Stats:
    """Writes the sets of a piece's candidates end to end (`<name>-sets`), and (index, where it begins) of each.

    A set is the n-gram hashes of the whole text, each once, increasing; or, with `verify: signature`, the MinHash
    values. The last row of the places is (2^64 - 1, where the sets end).
    """
    indices = np.unique(read_slices(files, unit.slices, 1)).astype(np.int64)
    indices = indices[(indices >= unit.piece.start) & (indices < unit.piece.stop)]
    lengths = []
    with files.create(f"scratch/{unit.name}-sets.bin") as output, output.path.open("wb") as file:
        for values in _sets(files, unit, indices):
            values.tofile(file)
            lengths.append(len(values))
        output.rows = len(lengths)
    places = np.empty((len(indices) + 1, 2), np.uint64)
    places[:, 0] = [*indices.tolist(), (1 << 64) - 1]
    places[:, 1] = np.cumsum([0, *lengths])
    write_rows(files, f"{unit.name}-places", places)
    return {"candidates": len(indices)}


def _sets(files: UnitFiles, unit: NgramUnit, indices: Int64Array) -> Iterator[UInt64Array]:
    if unit.config.verify == "jaccard":
        for text in TextSource((unit.piece.part,), unit.edits).read(files, indices):
            yield ngram_set(text, unit.config)
        return
    if len(indices):
        yield from read_minima(files, unit.piece.part, indices - unit.piece.part.start)
