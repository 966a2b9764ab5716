"""How many tokens the attention of a training pairs each token with."""

import numpy as np

from pretrain.sequences import TokenSequences

_SEQUENCES_LOOKED_AT = 1000


def attended_tokens(sequences: TokenSequences) -> int:
    """The T of the attention's FLOPs: the sequence's length, or where documents are kept apart a mean of theirs.

    That is the mean, over all positions, of the tokens of the position's document in its sequence: the pairs that the
    model needs, by whatever kernel. It is rounded, and of 1,000 sequences evenly chosen where there are more.
    """
    if not sequences.index.isolate_documents:
        return sequences.sequence_length
    chosen = np.unique(np.linspace(0, len(sequences) - 1, _SEQUENCES_LOOKED_AT).astype(np.int64))
    lengths = np.concatenate([sequences.pieces(int(position))[:, 1] for position in chosen])
    return round(float((lengths.astype(np.float64) ** 2).sum()) / (len(chosen) * sequences.sequence_length))
