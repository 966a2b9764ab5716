"""Token sequences on disk and in memory: what `pack` writes and `train` and `eval` read. Imports no torch.

index.py     data/index.json: what a pack artifact holds
stream.py    the tokens of a split as one memory-mapped stream over its parts
layout.py    where in the stream the pieces of a sequence lie
loader.py    the stream cut into training sequences
order.py     which sequence is sample k of a training run
encoder.py   text to token ids with a tokenizer artifact
"""

from pretrain.sequences.encoder import Encoder
from pretrain.sequences.index import SequenceIndex, SplitIndex, TokenPart, read_index, read_token_bytes
from pretrain.sequences.loader import TokenSequences
from pretrain.sequences.order import SampleOrder
from pretrain.sequences.stream import TokenStream, token_dtype

__all__ = [
    "Encoder",
    "SampleOrder",
    "SequenceIndex",
    "SplitIndex",
    "TokenPart",
    "TokenSequences",
    "TokenStream",
    "read_index",
    "read_token_bytes",
    "token_dtype",
]
