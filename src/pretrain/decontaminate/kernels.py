"""Words and n-grams of UTF-8 text as compiled loops. Hashes are uint64 modulo 2^64.

    word     FNV-1a over its folded code points, mixed by the finaliser of splitmix64 (Steele et al. 2014)
    key      polynomial of the hashes of the last `num_key_words` words of an n-gram, mixed

A key only says where to look: an n-gram counts as found after its words were compared one by one, so that no
collision of hashes ever touches a document.

Every kernel lives in this file: numba's cache notices a change of the file of a function, not of what it calls.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from pretrain.decontaminate.normalization import IGNORED, WORD_BY_ITSELF

UInt64Array = NDArray[np.uint64]
Int64Array = NDArray[np.int64]
Int32Array = NDArray[np.int32]
Bytes = NDArray[np.uint8]

_F = TypeVar("_F", bound=Callable[..., Any])

# numba turns uint64 with a plain int into float64, so that every constant is typed.
_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x00000100000001B3)
_ZERO, _ONE, _U6, _U27, _U30, _U31, _U63 = (np.uint64(value) for value in (0, 1, 6, 27, 30, 31, 63))


class NgramIndex(NamedTuple):
    """The n-grams of all passages, as arrays that worker processes share.

    An n-gram is a span of the words of a passage: `ngram` words, or all words of a passage with fewer.

    Attributes:
        fold: what each code point is compared as, see `pretrain.decontaminate.normalization`.
        bits: see `key_bits`: whether a key may be one of `keys`.
        keys: distinct keys, increasing; n-grams `first_ngram[i]` to `first_ngram[i + 1]` have key i.
        first_ngram: see `keys`; shape (num_keys + 1,).
        buckets: the keys that are i after a shift by `bucket_shift` bits are `keys[buckets[i]:buckets[i + 1]]`.
        starts: the first word of each n-gram, a place in `words`; shape (num_ngrams,).
        ends: the place after its last word.
        words: vocabulary numbers of the words of all passages, one after another.
        codes: folded code points of the vocabulary's words, one after another.
        first_code: where each word begins in `codes`; shape (num_vocabulary_words + 1,).
        ngram: the most words of an n-gram.
        num_key_words: words at its end that the key covers; none has fewer.
        bucket_shift: see `buckets`.
    """

    fold: Int32Array
    bits: UInt64Array
    keys: UInt64Array
    first_ngram: Int64Array
    buckets: Int64Array
    starts: Int64Array
    ends: Int64Array
    words: Int32Array
    codes: Int32Array
    first_code: Int64Array
    ngram: int
    num_key_words: int
    bucket_shift: int


def _compiled(function: _F) -> _F:
    """Compiles on first call; the machine code is kept beside the source or in the user's cache folder."""
    try:
        compiled: Any = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # neither place can be written (a read-only install without a home): compile in each process
        compiled = numba.njit(nogil=True)(function)
    return cast("_F", compiled)


@_compiled
def _mix(value: np.uint64) -> np.uint64:
    value = (value ^ (value >> _U30)) * _MIX_1
    value = (value ^ (value >> _U27)) * _MIX_2
    return value ^ (value >> _U31)


@_compiled
def _decode(data: Bytes, position: int) -> tuple[int, int]:
    """The code point at a position of valid UTF-8, and its width in bytes."""
    lead = int(data[position])
    if lead < 0x80:
        return lead, 1
    if lead < 0xE0:
        code, width = lead & 0x1F, 2
    elif lead < 0xF0:
        code, width = lead & 0x0F, 3
    else:
        code, width = lead & 0x07, 4
    for offset in range(1, width):
        code = (code << 6) | (int(data[position + offset]) & 0x3F)
    return code, width


@_compiled
def _next_word(data: Bytes, position: int, stop: int, fold: Int32Array) -> tuple[int, int, np.uint64]:
    """Start, end (both in bytes) and hash of the first word at or after `position`; start == end: there is none."""
    width = 0
    while position < stop:
        code, width = _decode(data, position)
        if fold[code] >= 0:
            break
        position += width
    start, value = position, _FNV_OFFSET
    while position < stop:
        code, width = _decode(data, position)
        folded = fold[code]
        if 0 <= folded < WORD_BY_ITSELF:
            value = (value ^ np.uint64(folded)) * _FNV_PRIME
        elif folded != IGNORED:
            if folded >= WORD_BY_ITSELF and position == start:
                value = (value ^ np.uint64(folded)) * _FNV_PRIME
                position += width
            break
        position += width
    return start, position, _mix(value)


@_compiled
def split_words(data: Bytes, fold: Int32Array) -> tuple[Int64Array, Int64Array, UInt64Array]:
    """The words of a text in order: starts and ends in bytes, and hashes, each of shape (num_words,)."""
    size = len(data)
    most = size // 2 + 1  # a word has a separator after it, or three bytes
    starts, ends, hashes = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.uint64)
    count, position = 0, 0
    while position < size:
        start, position, value = _next_word(data, position, size, fold)
        if position > start:
            starts[count], ends[count], hashes[count] = start, position, value
            count += 1
    return starts[:count].copy(), ends[:count].copy(), hashes[:count].copy()


@_compiled
def fold_codes(data: Bytes, fold: Int32Array) -> Int32Array:
    """The folded code points of one word. Shape (num_characters,), without ignored ones."""
    codes = np.empty(len(data), np.int32)
    count, position = 0, 0
    while position < len(data):
        code, width = _decode(data, position)
        if fold[code] != IGNORED:
            codes[count] = fold[code]
            count += 1
        position += width
    return codes[:count].copy()


@_compiled
def ngram_keys(words: UInt64Array, ends: Int64Array, num_key_words: int) -> UInt64Array:
    """The keys of n-grams: of those that end before `ends` in an array of word hashes. Shape (num_ngrams,)."""
    keys = np.empty(len(ends), np.uint64)
    for index in range(len(ends)):
        value = _ZERO
        for position in range(ends[index] - num_key_words, ends[index]):
            value = value * _BASE + words[position]
        keys[index] = _mix(value)
    return keys


@_compiled
def key_bits(keys: UInt64Array, num_bits: int) -> UInt64Array:
    """A bit for every key, in words of 64: bit `key mod num_bits`, a power of two. Shape (num_bits / 64,)."""
    bits = np.zeros(num_bits // 64, np.uint64)
    mask = np.uint64(num_bits - 1)
    for key in keys:
        place = key & mask
        bits[np.int64(place >> _U6)] |= _ONE << (place & _U63)
    return bits


@_compiled
def _is_same_word(data: Bytes, start: int, end: int, word: Int32Array, fold: Int32Array) -> bool:
    count, position = 0, start
    while position < end:
        code, width = _decode(data, position)
        folded = fold[code]
        if folded != IGNORED:
            if count == len(word) or word[count] != folded:
                return False
            count += 1
        position += width
    return count == len(word)


@_compiled
def _ends_here(index: NgramIndex, ngram: int, data: Bytes, ring: Int64Array, num_words: int) -> bool:
    """Whether the words of an n-gram are the last of the `num_words` words of a text, compared one by one."""
    width = index.ends[ngram] - index.starts[ngram]
    if width > num_words:
        return False
    for back in range(1, width + 1):
        word = index.words[index.ends[ngram] - back]
        spelling = index.codes[index.first_code[word] : index.first_code[word + 1]]
        slot = (num_words - back) % index.ngram
        if not _is_same_word(data, ring[slot, 0], ring[slot, 1], spelling, index.fold):
            return False
    return True


@_compiled
def _add_hits(
    index: NgramIndex, place: int, data: Bytes, ring: Int64Array, last: tuple[int, int], hits: Int64Array, num_hits: int
) -> tuple[Int64Array, int]:
    """Adds the n-grams with a key that end at word `last[1]` of text `last[0]`."""
    for ngram in range(index.first_ngram[place], index.first_ngram[place + 1]):
        if _ends_here(index, ngram, data, ring, last[1] + 1):
            if num_hits == len(hits):
                hits = np.concatenate((hits, np.empty_like(hits)))
            hits[num_hits, 0], hits[num_hits, 1], hits[num_hits, 2] = last[0], ngram, last[1]
            num_hits += 1
    return hits, num_hits


@_compiled
def _find_in_text(
    index: NgramIndex, data: Bytes, text: int, begin: int, stop: int, hits: Int64Array, num_hits: int
) -> tuple[int, Int64Array, int]:
    # locals, and no call before a key fits: handing the index on for each word takes half the speed
    fold, bits, buckets, keys = index.fold, index.bits, index.buckets, index.keys
    ngram, num_key_words, shift = index.ngram, index.num_key_words, np.uint64(index.bucket_shift)
    ring, hashes = np.empty((ngram, 2), np.int64), np.zeros(ngram, np.uint64)
    power = _ONE
    for _ in range(num_key_words):
        power = power * _BASE
    mask = np.uint64(len(bits) * 64 - 1)
    num_words, position, rolling = 0, begin, _ZERO
    slot, leaving = 0, (ngram - num_key_words) % ngram
    while position < stop:
        start, position, value = _next_word(data, position, stop, fold)
        if position == start:
            break
        rolling = rolling * _BASE + value - hashes[leaving] * power  # its hash is 0 while there is none
        ring[slot, 0], ring[slot, 1], hashes[slot] = start, position, value
        slot = slot + 1 if slot + 1 < ngram else 0
        leaving = leaving + 1 if leaving + 1 < ngram else 0
        num_words += 1
        key = _mix(rolling)
        bit = key & mask
        if (bits[np.int64(bit >> _U6)] >> (bit & _U63)) & _ONE and num_words >= num_key_words:
            bucket = np.int64(key >> shift)
            for place in range(buckets[bucket], buckets[bucket + 1]):
                if keys[place] == key:
                    hits, num_hits = _add_hits(index, place, data, ring, (text, num_words - 1), hits, num_hits)
    return num_words, hits, num_hits


@_compiled
def find_ngrams(data: Bytes, offsets: Int64Array, index: NgramIndex) -> tuple[Int64Array, Int64Array]:
    """Where the n-grams of an index stand in texts.

    Memory beside the result is constant: the last `index.ngram` words are remembered, however long a text is.

    Args:
        data: the UTF-8 bytes of all texts.
        offsets: text i is `data[offsets[i]:offsets[i + 1]]`; shape (num_texts + 1,).
        index: what to look for.

    Returns:
        The number of words of each text, shape (num_texts,), and a row for each n-gram found: the text, the
        n-gram, the number of its last word in the text; shape (num_found, 3), in order of text and last word.
    """
    num_words = np.zeros(len(offsets) - 1, np.int64)
    hits, num_hits = np.empty((64, 3), np.int64), 0
    for text in range(len(num_words)):
        begin, stop = offsets[text], offsets[text + 1]
        num_words[text], hits, num_hits = _find_in_text(index, data, text, begin, stop, hits, num_hits)
    return num_words, hits[:num_hits].copy()


@_compiled
def word_spans(data: Bytes, fold: Int32Array, numbers: Int64Array) -> Int64Array:
    """Where words of one text stand, given their numbers from 0, increasing.

    Returns:
        start and end in bytes, shape (num_numbers, 2).
    """
    spans = np.empty((len(numbers), 2), np.int64)
    position, number, done = 0, 0, 0
    while done < len(numbers):
        start, position, _ = _next_word(data, position, len(data), fold)
        if number == numbers[done]:
            spans[done, 0], spans[done, 1] = start, position
            done += 1
        number += 1
    return spans
