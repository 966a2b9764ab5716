r"""Words as numbers: hashes, counts, and the repeated n-grams of Gopher's rules, as compiled loops.

    character  its code point plus 1
    text       polynomial of its characters in `_BASE` modulo 2^61 - 1: of two texts, that of the one behind the
               other is hash(a) * BASE^len(b) + hash(b), so that the hash of an n-gram costs one step more than
               that of the (n-1)-gram before it, whatever its length
    n-gram     its words joined by a space, or by nothing, as the rule says

Two different texts of up to 1,000 characters have one hash with a probability of some 1,000 / 2^61: in a text of
100,000 words, some 2e-6 for any wrong pair. Integers are int64 or uint64 on purpose, never mixed: numba makes
float64 of the two. Every kernel calls only what is in this file: the cache notices no change elsewhere.
"""

import numpy as np
from numpy.typing import NDArray

from pretrain.filter.characters import ALPHABETIC, SYMBOL, CodeArray, FlagArray
from pretrain.filter.compiling import OffsetArray, compiled

HashArray = NDArray[np.uint64]

_PRIME_INT = (1 << 61) - 1
_BASE_INT = 0x1A2B9F1D3C5E7A95 % _PRIME_INT  # any number far from 0 and from the prime
_PRIME, _BASE = np.uint64(_PRIME_INT), np.uint64(_BASE_INT)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ZERO, _ONE, _U3, _U29, _U32, _U61, _U64 = (np.uint64(value) for value in (0, 1, 3, 29, 32, 61, 64))
_MASK29, _MASK32 = np.uint64((1 << 29) - 1), np.uint64((1 << 32) - 1)
_SPACE = np.uint64(ord(" ") + 1)


def hash_word(word: str) -> int:
    """The hash of a word: what `measure_words` gives for it."""
    value = 0
    for char in word:
        value = (value * _BASE_INT + ord(char) + 1) % _PRIME_INT
    return value


@compiled
def measure_words(
    codes: CodeArray, starts: OffsetArray, ends: OffsetArray, flags: FlagArray
) -> tuple[HashArray, HashArray, int, int, int]:
    """Hashes and counts of the words of a text.

    Returns:
        the hash of every word, shape (num_words,); the powers 0 to `longest word + 1` of the base; the number of
        real words (those with a character outside `SYMBOLS`), the characters in them, and the number of words
        with an alphabetic character.
    """
    hashes = np.empty(len(starts), np.uint64)
    num_real, num_real_chars, num_alphabetic, longest = 0, 0, 0, 0
    for index in range(len(starts)):
        value, every, some = _ZERO, SYMBOL, 0
        for position in range(starts[index], ends[index]):
            code = codes[position]
            every &= flags[code]
            some |= flags[code]
            value = _append(value, _BASE, np.uint64(code) + _ONE)
        hashes[index] = value
        length = ends[index] - starts[index]
        longest = max(longest, length)
        if not every:
            num_real += 1
            num_real_chars += length
        if some & ALPHABETIC:
            num_alphabetic += 1
    powers = np.empty(longest + 2, np.uint64)
    powers[0] = _ONE
    for index in range(1, len(powers)):
        powers[index] = _append(powers[index - 1], _BASE, _ZERO)
    return hashes, powers, num_real, num_real_chars, num_alphabetic


@compiled
def find_words(hashes: HashArray, wanted: HashArray) -> NDArray[np.bool_]:
    """For each hash in `wanted`, whether a word has it. Shape (len(wanted),)."""
    found = np.zeros(len(wanted), np.bool_)
    for value in hashes:
        for index in range(len(wanted)):
            if value == wanted[index]:
                found[index] = True
    return found


@compiled
def top_ngrams(
    hashes: HashArray, lengths: OffsetArray, powers: HashArray, sizes: OffsetArray
) -> tuple[OffsetArray, OffsetArray]:
    """The most frequent n-gram of each size, words joined by a space; of several, the one that occurs first.

    Args:
        hashes: of the words, as `measure_words` gives them.
        lengths: their characters.
        powers: of the base.
        sizes: values of n, at least 1, increasing.

    Returns:
        the characters in all its occurrences (spaces between words among them), and its first word; each of shape
        (len(sizes),), 0 and -1 for a size of which the text has no n-gram.
    """
    chars = np.zeros(len(sizes), np.int64)
    firsts = np.full(len(sizes), -1, np.int64)
    values = hashes.copy()
    capacity, shift = _capacity(len(hashes))
    keys = np.empty(capacity, np.uint64)
    entries = np.empty((capacity, 2), np.int64)  # first word, occurrences
    size = 1
    for which in range(len(sizes)):
        while size < sizes[which]:
            for index in range(len(hashes) - size):
                last = index + size
                tail = _append(_SPACE, powers[lengths[last]], hashes[last])
                values[index] = _append(values[index], powers[lengths[last] + 1], tail)
            size += 1
        keys[:] = _ZERO
        best = np.int64(-1)
        for index in range(len(hashes) - size + 1):
            key = values[index] + _ONE
            slot = np.int64((key * _GOLDEN) >> shift)
            while keys[slot] != key and keys[slot] != _ZERO:
                slot = (slot + 1) & (capacity - 1)
            if keys[slot] == _ZERO:
                keys[slot], entries[slot, 0], entries[slot, 1] = key, index, 0
            entries[slot, 1] += 1
            if (
                best < 0
                or entries[slot, 1] > entries[best, 1]
                or (entries[slot, 1] == entries[best, 1] and entries[slot, 0] < entries[best, 0])
            ):
                best = slot
        if best >= 0:
            first, count = entries[best, 0], entries[best, 1]
            firsts[which] = first
            chars[which] = count * (np.sum(lengths[first : first + size]) + size - 1)
    return chars, firsts


@compiled
def duplicate_ngrams(
    hashes: HashArray, lengths: OffsetArray, powers: HashArray, sizes: OffsetArray
) -> tuple[OffsetArray, OffsetArray]:
    """N-grams of each size that repeat an earlier one, words joined by nothing; behind one, all its words are skipped.

    Args:
        hashes: of the words, as `measure_words` gives them.
        lengths: their characters.
        powers: of the base.
        sizes: values of n, at least 1, increasing.

    Returns:
        the characters in them, and the first word of the first; each of shape (len(sizes),), 0 and -1 for none.
    """
    chars = np.zeros(len(sizes), np.int64)
    firsts = np.full(len(sizes), -1, np.int64)
    values = hashes.copy()
    capacity, shift = _capacity(len(hashes))
    keys = np.empty(capacity, np.uint64)
    size = 1
    for which in range(len(sizes)):
        while size < sizes[which]:
            for index in range(len(hashes) - size):
                last = index + size
                values[index] = _append(values[index], powers[lengths[last]], hashes[last])
            size += 1
        keys[:] = _ZERO
        index = 0
        while index < len(hashes) - size + 1:
            key = values[index] + _ONE
            slot = np.int64((key * _GOLDEN) >> shift)
            while keys[slot] != key and keys[slot] != _ZERO:
                slot = (slot + 1) & (capacity - 1)
            if keys[slot] == _ZERO:
                keys[slot] = key
                index += 1
                continue
            chars[which] += np.sum(lengths[index : index + size])
            if firsts[which] < 0:
                firsts[which] = index
            index += size
    return chars, firsts


@compiled
def _capacity(num_keys: int) -> tuple[int, np.uint64]:
    """The size of a table that is at most half full, a power of two, and the shift of a hash to its slots."""
    capacity, shift = 16, _U64 - np.uint64(4)
    while capacity < 2 * num_keys:
        capacity, shift = 2 * capacity, shift - _ONE
    return capacity, shift


@compiled
def _append(left: np.uint64, factor: np.uint64, right: np.uint64) -> np.uint64:
    """Gives left * factor + right modulo 2^61 - 1, of values below it, without a product of 128 bits."""
    left_high, left_low = left >> _U32, left & _MASK32
    high, low = factor >> _U32, factor & _MASK32
    middle = left_high * low + left_low * high
    bottom = left_low * low
    total = (
        ((left_high * high) << _U3)  # 2^64 is 8
        + (middle >> _U29)
        + ((middle & _MASK29) << _U32)
        + (bottom >> _U61)
        + (bottom & _PRIME)
        + right
    )
    total = (total >> _U61) + (total & _PRIME)
    return total - _PRIME if total >= _PRIME else total
