"""The loss of a bigram model of the data: every token drawn by the frequencies of those that follow the one before."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pretrain.sequences.index import SequenceIndex
from pretrain.sequences.stream import TokenStream
from pretrain.stage import Stats, UnitFiles

# Of each split the first tokens, so that a large corpus pays no more: half a second.
MAX_TOKENS = 1 << 22
_PRIOR_TOKENS = tuple(2.0**power for power in range(14))


class BigramUnit(NamedTuple):
    """The token shards that a pack artifact will have."""

    packed: SequenceIndex


def count_bigrams(files: UnitFiles, unit: BigramUnit) -> Stats:
    """Unit: `bigram_loss` of the validation split, or None where it has no pair of tokens."""
    train, validation = (_first_tokens(files, unit.packed, split) for split in ("train", "validation"))
    return {"bigram_loss": bigram_loss(train, validation, unit.packed.vocab_size)}


def bigram_loss(train: NDArray[np.int64], validation: NDArray[np.int64], vocab_size: int) -> float | None:
    """Cross entropy, nats per token, of validation under the bigram model of train.

    p(b | a) = (c(a, b) + m p(b)) / (c(a) + m), where p(b) is the unigram model of `pretrain.pack.unigram` (MacKay and
    Peto 1995, A Hierarchical Dirichlet Language Model, equation 13, with the unigram model as prior mean). Of the
    powers of two up to 8,192 the m counts that is best for validation: a trained model has to beat it at its best.

    Args:
        train: tokens of the train split, (tokens,).
        validation: tokens of the validation split; the first one is not predicted.
        vocab_size: V.

    Returns:
        The loss to 4 decimals, which is beyond what the order of a sum does to it; None without a pair to predict.
    """
    if len(validation) < 2:
        return None
    pairs, seen = np.unique(_pairs(validation, vocab_size), return_counts=True)
    known, counts_of_known = np.unique(_pairs(train, vocab_size), return_counts=True)
    places = np.minimum(np.searchsorted(known, pairs), max(0, len(known) - 1))
    counts = np.where(known[places] == pairs, counts_of_known[places], 0) if len(known) else np.zeros(len(pairs))
    unigrams = np.bincount(train, minlength=vocab_size)
    contexts = np.bincount(train[:-1], minlength=vocab_size)[pairs // vocab_size]
    prior = (unigrams[pairs % vocab_size] + 1) / (len(train) + vocab_size)
    losses = [-float(seen @ np.log((counts + m * prior) / (contexts + m))) / seen.sum() for m in _PRIOR_TOKENS]
    return round(float(min(losses)), 4)


def _pairs(tokens: NDArray[np.int64], vocab_size: int) -> NDArray[np.int64]:
    pairs: NDArray[np.int64] = tokens[:-1] * vocab_size + tokens[1:]
    return pairs


def _first_tokens(files: UnitFiles, index: SequenceIndex, split: str) -> NDArray[np.int64]:
    parts = index.splits[split].parts
    stream = TokenStream([files.scratch(part.path) for part in parts], [part.tokens for part in parts], index.dtype)
    if not len(stream):
        return np.empty(0, np.int64)
    return stream.read(0, min(len(stream), MAX_TOKENS)).astype(np.int64)
