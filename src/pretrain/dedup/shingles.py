"""The n-grams of a text and their MinHash values, for each way that the config can ask for."""

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pretrain.dedup import datatrove
from pretrain.dedup.config import MinHashConfig
from pretrain.dedup.kernels import (
    UInt64Array,
    band_keys,
    hash_characters,
    hash_words,
    minhash,
    minhash_modulo,
    ngram_hashes,
    permutations,
)


class Signature(NamedTuple):
    """What the n-grams of a text leave.

    bands: LSH keys, shape (bands,).
    minima: MinHash values as 64-bit integers, shape (bands * rows,).
    """

    bands: UInt64Array
    minima: UInt64Array


def unit_hashes(text: str, config: MinHashConfig) -> UInt64Array:
    """The hash of every word or character of a text, in order. Shape (num_units,)."""
    if config.signature == "datatrove":
        return datatrove.word_hashes(datatrove.words_of(text))
    return hash_words(text) if config.unit == "word" else hash_characters(text)


def ngram_set(text: str, config: MinHashConfig) -> UInt64Array:
    """The hashes of the n-grams of a whole text, each once, increasing. A text of fewer units has one: all of them."""
    return np.unique(_ngrams(text, config))


def sign_text(text: str, units: UInt64Array, config: MinHashConfig) -> Signature:
    """The signature of a text up to `max_chars`, given the hashes of its units."""
    is_capped = len(text) > config.max_chars
    if config.signature == "datatrove":
        minima = minhash_modulo(_ngrams(text[: config.max_chars], config), *_family(config), datatrove.MERSENNE_PRIME)
        return Signature(band_keys(minima, config.bands), minima)
    if is_capped:
        units = unit_hashes(text[: config.max_chars], config)
    short = minhash(ngram_hashes(units, config.ngram), *_family(config))
    return Signature(band_keys(short, config.bands), short.astype(np.uint64))


def _ngrams(text: str, config: MinHashConfig) -> UInt64Array:
    if config.signature == "datatrove":
        return datatrove.ngram_hashes(datatrove.words_of(text), config.ngram)
    return ngram_hashes(unit_hashes(text, config), config.ngram)


def _family(config: MinHashConfig) -> tuple[UInt64Array, UInt64Array]:
    make: Any = datatrove.permutations if config.signature == "datatrove" else permutations
    return _made(make, config.seed, config.bands * config.rows)


@functools.lru_cache(maxsize=4)
def _made(make: Any, seed: int, count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    found: tuple[UInt64Array, UInt64Array] = make(seed, count)
    return found
