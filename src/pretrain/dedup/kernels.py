r"""The hash family of MinHash as compiled loops over integer arrays. All values are uint64 modulo 2^64.

    words      maximal runs of `\w` (letters, digits, underscore) in the lower-cased text
    word       FNV-1a of its UTF-8 bytes, mixed
    n-gram     polynomial of n word hashes, mixed
    row k      min over the n-grams h of (a_k h + b_k) >> 32, a_k odd: multiply-shift hashing
               (Dietzfelbinger et al. 1997)
    band key   polynomial of the rows of a band, mixed

A character is hashed as its code point, mixed.

`mix` is the finaliser of splitmix64 (Steele et al. 2014), and a_k, b_k are the outputs of splitmix64 from
the seed. Words are hashed inside the loop that finds them, not by a library's call each: that call alone
would cost more than everything else here together. Python's hash() differs between processes and has no
place here.

Every kernel lives in this file: numba's cache notices a change of the file of a function, not of what it
calls.
"""

import functools
import sys

import numpy as np
from numpy.typing import NDArray

from pretrain.dedup.compiled import compiled

UInt64Array = NDArray[np.uint64]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1

# numba turns uint64 with a plain int into float64, so that every constant is typed.
_BASE = np.uint64(_GOLDEN)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x00000100000001B3)
_ZERO, _U27, _U30, _U31, _U32 = (np.uint64(value) for value in (0, 27, 30, 31, 32))


@functools.cache
def word_characters() -> NDArray[np.bool_]:
    r"""For every code point, whether the regular expression `\w` matches it. Shape (1114112,)."""
    is_word = np.fromiter((chr(code).isalnum() for code in range(sys.maxunicode + 1)), np.bool_)
    is_word[ord("_")] = True
    return is_word


def hash_words(text: str) -> UInt64Array:
    """The hash of every word of a text, in order. Shape (num_words,)."""
    data = np.frombuffer(text.lower().encode(), np.uint8)
    return _hash_words(data, word_characters())


def hash_characters(text: str) -> UInt64Array:
    """The hash of every character of a lower-cased text, a run of whitespace as one space. Shape (num_characters,)."""
    data = np.frombuffer(" ".join(text.lower().split()).encode("utf-32-le"), np.uint32)
    return _hash_codes(data)


def permutations(seed: int, count: int) -> tuple[UInt64Array, UInt64Array]:
    """Multipliers (odd) and offsets of `count` hash functions, each of shape (count,)."""
    values = [_splitmix64(seed, position) for position in range(2 * count)]
    multipliers = np.array([value | 1 for value in values[::2]], np.uint64)
    return multipliers, np.array(values[1::2], np.uint64)


@compiled
def ngram_hashes(words: UInt64Array, ngram: int) -> UInt64Array:
    """The hash of every n-gram, in order, repeats included.

    A text of fewer words than `ngram`, but at least one, has one n-gram: all its words. Its Jaccard
    similarity with another is then 1 where the words are the same, and otherwise 0.

    Returns:
        shape (max(num_words - ngram + 1, 1),), or (0,) without words.
    """
    if len(words) == 0:
        return np.empty(0, np.uint64)
    width = min(ngram, len(words))
    hashes = np.empty(len(words) - width + 1, np.uint64)
    for start in range(len(hashes)):
        value = _ZERO
        for position in range(start, start + width):
            value = value * _BASE + words[position]
        hashes[start] = _mix(value)
    return hashes


@compiled
def minhash(ngrams: UInt64Array, multipliers: UInt64Array, offsets: UInt64Array) -> NDArray[np.uint32]:
    """The MinHash values of a set of n-gram hashes. Shape (num_permutations,)."""
    minima = np.full(len(multipliers), 0xFFFFFFFF, np.uint32)
    for index in range(len(ngrams)):
        ngram = ngrams[index]
        for row in range(len(minima)):
            value = np.uint32((multipliers[row] * ngram + offsets[row]) >> _U32)
            minima[row] = min(minima[row], value)
    return minima


@compiled
def minhash_modulo(ngrams: UInt64Array, multipliers: UInt64Array, offsets: UInt64Array, modulus: int) -> UInt64Array:
    """The MinHash values of (a h + b mod 2^64) mod `modulus`. Shape (num_permutations,)."""
    minima = np.full(len(multipliers), np.uint64(modulus), np.uint64)
    for index in range(len(ngrams)):
        ngram = ngrams[index]
        for row in range(len(minima)):
            value = (multipliers[row] * ngram + offsets[row]) % np.uint64(modulus)
            minima[row] = min(minima[row], value)
    return minima


@compiled
def band_keys(minima: NDArray[np.unsignedinteger], bands: int) -> UInt64Array:
    """One key a band; equal keys mean (but for 2^-64) equal rows. Shape (bands,)."""
    rows = len(minima) // bands
    keys = np.empty(bands, np.uint64)
    for band in range(bands):
        value = _ZERO
        for row in range(band * rows, (band + 1) * rows):
            value = value * _BASE + np.uint64(minima[row]) + _BASE
        keys[band] = _mix(value)
    return keys


@compiled
def count_common(left: UInt64Array, right: UInt64Array) -> int:
    """The number of values in both of two strictly increasing arrays."""
    common, i, j = 0, 0, 0
    while i < len(left) and j < len(right):
        if left[i] < right[j]:
            i += 1
        elif left[i] > right[j]:
            j += 1
        else:
            common += 1
            i += 1
            j += 1
    return common


@compiled
def _mix(value: np.uint64) -> np.uint64:
    value = (value ^ (value >> _U30)) * _MIX_1
    value = (value ^ (value >> _U27)) * _MIX_2
    return value ^ (value >> _U31)


@compiled
def _hash_codes(codes: NDArray[np.uint32]) -> UInt64Array:
    hashes = np.empty(len(codes), np.uint64)
    for index in range(len(codes)):
        hashes[index] = _mix(np.uint64(codes[index]) + _BASE)
    return hashes


@compiled
def _hash_words(data: NDArray[np.uint8], is_word: NDArray[np.bool_]) -> UInt64Array:
    # Words of text are longer than this allows for; room for the shortest would be four times the text's bytes.
    hashes = np.empty(len(data) // 5 + 16, np.uint64)
    count, position, in_word = 0, 0, False
    value = _FNV_OFFSET
    while position < len(data):
        lead = np.int64(data[position])
        if lead < 0x80:
            code, width = lead, 1
        elif lead < 0xE0:
            code, width = lead & 0x1F, 2
        elif lead < 0xF0:
            code, width = lead & 0x0F, 3
        else:
            code, width = lead & 0x07, 4
        for offset in range(1, width):
            code = (code << 6) | (np.int64(data[position + offset]) & 0x3F)
        if is_word[code]:
            in_word = True
            for offset in range(width):
                value = (value ^ np.uint64(data[position + offset])) * _FNV_PRIME
        elif in_word:
            if count == len(hashes) - 1:
                hashes = np.concatenate((hashes, np.empty(len(hashes), np.uint64)))
            hashes[count] = _mix(value)
            count, in_word, value = count + 1, False, _FNV_OFFSET
        position += width
    if in_word:
        hashes[count] = _mix(value)
        count += 1
    return hashes[:count].copy()


def _splitmix64(seed: int, position: int) -> int:
    value = (seed + (position + 1) * _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * int(_MIX_1)) & _MASK
    value = ((value ^ (value >> 27)) * int(_MIX_2)) & _MASK
    return value ^ (value >> 31)
