"""The order of training samples as a pure function of (seed, sample index).

Sample k of a run lies in epoch k // N at position p = k % N, and is sequence `permutation(seed, epoch)[p]`.
The permutation is computed for one position at a time, in constant time and memory, so that a run resumes at
any sample at once, whatever the number of ranks and workers.

A balanced Feistel network over 2h bits is a bijection for any round function (Luby and Rackoff 1988); walking
each value on until it falls below N restricts it to a bijection on [0, N) (Black and Rogaway 2002, "cycle
walking").
"""

import hashlib
import struct
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

# One word as an int, or many as a uint64 array: the arithmetic is the same.
Word = Any

_MASK_64 = (1 << 64) - 1
# 4 rounds already pass for pseudo-random with ideal round functions; 8 cover the plain mixing used here.
_NUM_ROUNDS = 8
# Halves of fewer than 3 bits leave too few distinct networks to look uniform.
_MIN_HALF_BITS = 3


class SampleOrder:
    """Which sequence each sample of a training run is: each once an epoch, shuffled anew every epoch.

    Args:
        num_sequences: N, at least 1 and below 2**62.
        seed: any integer.

    Raises:
        ValueError: `num_sequences` is out of range.
    """

    def __init__(self, num_sequences: int, seed: int) -> None:
        if not 1 <= num_sequences < 1 << 62:
            raise ValueError(f"num_sequences must be in [1, 2**62), got {num_sequences}")
        self.num_sequences = num_sequences
        self.seed = seed
        num_bits = (num_sequences - 1).bit_length()
        self._half_bits = max(_MIN_HALF_BITS, (num_bits + 1) // 2)

    @overload
    def sequence_of(self, sample_index: int) -> int: ...
    @overload
    def sequence_of(self, sample_index: NDArray[np.int64]) -> NDArray[np.int64]: ...
    def sequence_of(self, sample_index: int | NDArray[np.int64]) -> int | NDArray[np.int64]:
        """The sequence, in [0, N), of sample `sample_index` >= 0 of the run; elementwise for an array."""
        if not isinstance(sample_index, np.ndarray):
            epoch, position = divmod(int(sample_index), self.num_sequences)
            keys = _round_keys(self.seed, epoch)
            value = self._feistel(position, keys)
            while value >= self.num_sequences:
                value = self._feistel(value, keys)
            return int(value)
        epochs, positions = np.divmod(sample_index.astype(np.uint64), np.uint64(self.num_sequences))
        sequences = np.empty(sample_index.shape, dtype=np.int64)
        for epoch in np.unique(epochs).tolist():
            chosen = epochs == epoch
            sequences[chosen] = self._permute(positions[chosen], epoch).astype(np.int64)
        return sequences

    def _permute(self, positions: NDArray[np.uint64], epoch: int) -> NDArray[np.uint64]:
        keys = _round_keys(self.seed, epoch)
        values: NDArray[np.uint64] = self._feistel(positions, keys)
        while (outside := np.flatnonzero(values >= self.num_sequences)).size:
            values[outside] = self._feistel(values[outside], keys)
        return values

    def _feistel(self, values: Word, keys: tuple[int, ...]) -> Word:
        bits = self._half_bits
        mask = (1 << bits) - 1
        left, right = values >> bits, values & mask
        for key in keys:
            left, right = right, left ^ (_mix(right ^ key) & mask)
        return (left << bits) | right


def _round_keys(seed: int, epoch: int) -> tuple[int, ...]:
    digest = hashlib.blake2b(f"{seed}\0{epoch}".encode(), digest_size=8 * _NUM_ROUNDS, person=b"sample order")
    return struct.unpack(f"<{_NUM_ROUNDS}Q", digest.digest())


def _mix(values: Word) -> Word:
    # The finaliser of splitmix64 (Steele, Lea and Flood 2014): products modulo 2**64.
    values = ((values ^ (values >> 30)) * 0xBF58476D1CE4E5B9) & _MASK_64
    values = ((values ^ (values >> 27)) * 0x94D049BB133111EB) & _MASK_64
    return values ^ (values >> 31)
