"""How the documents of one token shard become sequences: lists of pieces, or for `concat` only what is cut."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pretrain.pack.fitting import best_fit, cut_documents
from pretrain.sequences.index import TokenPart
from pretrain.stage import Stats, UnitFiles

Int64Array = NDArray[np.int64]


class PiecesUnit(NamedTuple):
    """One token shard.

    strategy: as in the config.
    first_token: of the shard in the stream.
    """

    part: TokenPart
    strategy: str
    sequence_length: int
    first_token: int


def lay_out(files: UnitFiles, unit: PiecesUnit) -> Stats:
    """Unit: writes the sequences of a shard, unless they are cut from the stream.

    Returns:
        `sequences` (0 for concat), and `documents_cut`: documents that do not lie whole in one sequence.
    """
    borders = np.load(files.scratch(unit.part.borders_path), allow_pickle=False)
    length, num_tokens = unit.sequence_length, unit.part.tokens
    if unit.strategy == "concat":
        first, last = borders + unit.first_token, np.append(borders[1:], num_tokens)[: len(borders)] + unit.first_token
        is_cut = (last > first) & (first // length != (last - 1) // length)
        return {"sequences": 0, "documents_cut": int(is_cut.sum())}
    pieces = cut_documents(borders, num_tokens, length)
    pieces = pieces[pieces[:, 1] > 0]
    targets = best_fit(pieces[:, 1], length) if unit.strategy == "best_fit" else np.arange(len(pieces))
    order = np.argsort(targets, kind="stable")  # the pieces of a sequence stay in the order of the stream
    num_sequences = int(targets.max(initial=-1)) + 1
    counts = np.bincount(targets, minlength=num_sequences)
    _save(files, unit.part.pieces_path, pieces[order], num_sequences)
    _save(files, unit.part.rows_path, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), num_sequences)
    sizes = np.diff(borders, append=num_tokens)
    return {"sequences": num_sequences, "documents_cut": int((sizes > length).sum())}


def _save(files: UnitFiles, path: str, array: Int64Array, num_rows: int) -> None:
    with files.create(path) as output, output.path.open("wb") as file:
        np.save(file, array)
        output.rows = num_rows
