"""The loss of the simplest model of the data: every token drawn from the train split's token frequencies."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pretrain.sequences.stream import TokenStream
from pretrain.stage import Stats, UnitFiles

_CHUNK_TOKENS = 1 << 20


class CountUnit(NamedTuple):
    """One token shard of `num_tokens` tokens, and where the counts of its tokens go."""

    tokens_path: str
    num_tokens: int
    dtype: str
    vocab_size: int
    path: str


def count_tokens(files: UnitFiles, unit: CountUnit) -> Stats:
    """Unit: writes how often each token comes in a shard, (vocab_size,) int64."""
    stream = TokenStream([files.scratch(unit.tokens_path)], [unit.num_tokens], unit.dtype)
    counts = np.zeros(unit.vocab_size, dtype=np.int64)
    for start in range(0, len(stream), _CHUNK_TOKENS):
        chunk = stream.read(start, min(start + _CHUNK_TOKENS, len(stream)))
        counts += np.bincount(chunk, minlength=unit.vocab_size)
    with files.create(unit.path) as output, output.path.open("wb") as file:
        np.save(file, counts)
    return {}


def unigram_loss(train_counts: Sequence[int], validation_counts: Sequence[int]) -> float | None:
    """Cross entropy, nats per token, of validation under the unigram distribution of train.

    p(t) = (c_train(t) + 1) / (N_train + V), add-one smoothed (Jurafsky and Martin, Speech and Language
    Processing, section 3.6). Every token of the stream is predicted, bos and eos as well. A trained model has
    to end below it.

    Args:
        train_counts: how often each of the V tokens came in the train split.
        validation_counts: the same for the validation split.

    Returns:
        The loss to 6 decimals, or None when there is no validation token.
    """
    total = sum(validation_counts)
    if not total:
        return None
    log_normalizer = math.log(sum(train_counts) + len(train_counts))
    pairs = zip(train_counts, validation_counts, strict=True)
    # fsum is exact, so that the sixth decimal is the same on every machine.
    return round(log_normalizer - math.fsum(seen * math.log(count + 1) for count, seen in pairs) / total, 6)
