"""Rolling hashes of the bytes of a text as compiled loops. All values are uint64.

    anchor         of a window of `window_bytes`, the least hash of its pieces of `anchor_bytes` (Schleimer et al. 2003,
                   "Winnowing"): equal windows have equal anchors, and consecutive windows mostly share theirs, so that
                   about 2 / (window_bytes - anchor_bytes + 2) of the bytes of a text begin a new one
    window hash    two polynomials modulo 2^61 - 1 of the window's bytes (Karp and Rabin 1987): windows that differ
                   have the same with a probability of about (window_bytes / 2^61)^2

An anchor that two different pieces share costs time, never a wrong cut: only window hashes decide.

Every kernel lives in this file: numba's cache notices a change of the file of a function, not of what it calls.
"""

import numpy as np
from numpy.typing import NDArray

from pretrain.dedup.compiled import compiled

Int64Array = NDArray[np.int64]
UInt64Array = NDArray[np.uint64]

# numba turns uint64 with a plain int into float64, so that every constant is typed.
_ANCHOR_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_PRIME = np.uint64((1 << 61) - 1)
_BASE_1 = np.uint64(0x0B2F31C6B5A4D3E7)  # both drawn at random once, below the prime
_BASE_2 = np.uint64(0x1D8E4E27C47D124F)
_LOW_31, _LOW_30 = np.uint64((1 << 31) - 1), np.uint64((1 << 30) - 1)
_ZERO, _ONE, _U27, _U30, _U31, _U61 = (np.uint64(value) for value in (0, 1, 27, 30, 31, 61))


@compiled
def anchor_runs(
    data: NDArray[np.uint8], window_bytes: int, anchor_bytes: int
) -> tuple[Int64Array, Int64Array, UInt64Array]:
    """The anchors of all windows of a text, one run for consecutive windows that have the same.

    Returns:
        first and last window (by its first byte) and anchor of every run, each of shape (num_runs,).
    """
    span = window_bytes - anchor_bytes + 1
    num_pieces = len(data) - anchor_bytes + 1
    if num_pieces < span:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint64)
    firsts = np.empty(4 * num_pieces // span + 16, np.int64)
    lasts, hashes = np.empty_like(firsts), np.empty(len(firsts), np.uint64)
    leading = _ONE
    for _ in range(anchor_bytes - 1):
        leading = leading * _ANCHOR_BASE
    rolling = _ZERO
    for position in range(anchor_bytes):
        rolling = rolling * _ANCHOR_BASE + np.uint64(data[position])
    # A ring of the pieces that can still be the least of a window, with increasing hashes.
    places, values = np.empty(span, np.int64), np.empty(span, np.uint64)
    head, size, count = 0, 0, 0
    for piece in range(num_pieces):
        value = _mix(rolling)
        while size > 0 and values[(head + size - 1) % span] >= value:
            size -= 1
        if size > 0 and places[head] <= piece - span:
            head = (head + 1) % span
            size -= 1
        places[(head + size) % span], values[(head + size) % span] = piece, value
        size += 1
        window = piece - span + 1
        if window >= 0:
            least = values[head]
            if count > 0 and hashes[count - 1] == least:
                lasts[count - 1] = window
            else:
                if count == len(firsts):
                    firsts = np.concatenate((firsts, np.empty(count, np.int64)))
                    lasts = np.concatenate((lasts, np.empty(count, np.int64)))
                    hashes = np.concatenate((hashes, np.empty(count, np.uint64)))
                firsts[count], lasts[count], hashes[count] = window, window, least
                count += 1
        if piece + 1 < num_pieces:
            rolling = (rolling - np.uint64(data[piece]) * leading) * _ANCHOR_BASE + np.uint64(
                data[piece + anchor_bytes]
            )
    return firsts[:count].copy(), lasts[:count].copy(), hashes[:count].copy()


@compiled
def window_hashes(data: NDArray[np.uint8], window_bytes: int, first: int, last: int) -> UInt64Array:
    """The hash of every window that begins at `first` up to and with `last`. Shape (last - first + 1, 2)."""
    hashes = np.empty((last - first + 1, 2), np.uint64)
    for column, base in enumerate((_BASE_1, _BASE_2)):
        leading, value = _ONE, _ZERO
        for _ in range(window_bytes - 1):
            leading = _times(leading, base)
        for position in range(first, first + window_bytes):
            value = _modulo(_times(value, base) + np.uint64(data[position]))
        hashes[0, column] = value
        for window in range(first + 1, last + 1):
            gone = _times(np.uint64(data[window - 1]), leading)
            value = _modulo(value + _PRIME - gone)
            value = _modulo(_times(value, base) + np.uint64(data[window + window_bytes - 1]))
            hashes[window - first, column] = value
    return hashes


@compiled
def _mix(value: np.uint64) -> np.uint64:
    value = (value ^ (value >> _U30)) * _MIX_1
    value = (value ^ (value >> _U27)) * _MIX_2
    return value ^ (value >> _U31)


@compiled
def _modulo(value: np.uint64) -> np.uint64:
    value = (value & _PRIME) + (value >> _U61)
    return value - _PRIME if value >= _PRIME else value


@compiled
def _times(left: np.uint64, right: np.uint64) -> np.uint64:
    """The product modulo 2^61 - 1 of two numbers below it, from halves whose products fit 64 bits."""
    left_high, left_low = left >> _U31, left & _LOW_31
    right_high, right_low = right >> _U31, right & _LOW_31
    middle = left_low * right_high + left_high * right_low
    high = left_high * right_high * np.uint64(2) + (middle >> _U30)
    return _modulo(high + ((middle & _LOW_30) << _U31) + left_low * right_low)
