"""Best-fit-decreasing: pieces of known lengths into as few sequences as a greedy rule finds.

Pieces are taken from the longest to the shortest, equal ones in their order, and each goes into the sequence with the
least room that still takes it; of several the one that came to that room last. It uses at most 11/9 of the fewest
possible sequences and one more (Johnson et al. 1974). With the room of all sequences in a tree over 0 to the length of
a sequence, a piece costs the logarithm of that length (Ding et al. 2024, section 3.2).

Every kernel lives in this file: numba's cache notices a change of the file of a function, not of what it calls.
"""

import numba
import numpy as np
from numpy.typing import NDArray

Int64Array = NDArray[np.int64]


def cut_documents(borders: Int64Array, num_tokens: int, length: int) -> Int64Array:
    """First token and length of the pieces of documents, each split every `length` tokens. Shape (pieces, 2).

    Args:
        borders: where each document begins, shape (documents,).
        num_tokens: of all documents.
        length: positions of a sequence.
    """
    lengths = np.diff(borders, append=num_tokens)
    num_pieces = -(-lengths // length)
    firsts = np.cumsum(num_pieces) - num_pieces
    within = np.arange(num_pieces.sum()) - np.repeat(firsts, num_pieces)
    starts = np.repeat(borders, num_pieces) + within * length
    return np.stack([starts, np.minimum(np.repeat(borders + lengths, num_pieces) - starts, length)], axis=1)


def best_fit(lengths: Int64Array, length: int) -> Int64Array:
    """The sequence that each piece goes to, numbered in the order in which they are begun. Shape (pieces,).

    Args:
        lengths: of pieces, 1 to `length`. Shape (pieces,).
        length: positions of a sequence.
    """
    order = np.argsort(-lengths, kind="stable")
    return _best_fit(lengths, order, length)


@numba.njit(nogil=True, cache=True)
def _best_fit(lengths: Int64Array, order: Int64Array, length: int) -> Int64Array:
    size = 1
    while size < length + 1:
        size *= 2
    # count[size + r]: sequences with room r; above, those below a node. newest[r] and before[s] chain them.
    count = np.zeros(2 * size, np.int64)
    newest = np.full(length + 1, -1, np.int64)
    before = np.empty(len(lengths), np.int64)
    target = np.empty(len(lengths), np.int64)
    num_sequences = 0
    for piece in order:
        need = lengths[piece]
        node = size + need
        if count[node] == 0:
            while node > 1 and (node & 1 == 1 or count[node + 1] == 0):
                node >>= 1
            if node > 1:
                node += 1
                while node < size:
                    node = 2 * node if count[2 * node] > 0 else 2 * node + 1
        if node > 1:
            room = node - size
            sequence = newest[room]
            newest[room] = before[sequence]
            while node >= 1:
                count[node] -= 1
                node >>= 1
        else:
            room, sequence = length, num_sequences
            num_sequences += 1
        target[piece] = sequence
        left = room - need
        before[sequence] = newest[left]
        newest[left] = sequence
        node = size + left
        while node >= 1:
            count[node] += 1
            node >>= 1
    return target
