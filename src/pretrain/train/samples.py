"""The samples of a training run in the order of training, and how a batch is made of them."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from pretrain.sequences import SampleOrder, TokenSequences


class OrderedSamples(Dataset[NDArray[np.int64]]):
    """Sample k of the run is sequence `SampleOrder.sequence_of(k)`, for k below steps * global batch.

    A pure function of the index that draws no random number: the Trainer restores the generators only after
    it has fetched the first batch of a resumed run. Read in sequence: a resume skips indices, never data.

    Args:
        sequences: the training split.
        seed: of the order.
        num_samples: samples of the whole run; more than the split has starts another epoch, shuffled anew.
    """

    def __init__(self, sequences: TokenSequences, seed: int, num_samples: int) -> None:
        self.sequences = sequences
        self.order = SampleOrder(len(sequences), seed)
        self.num_samples = num_samples

    def __len__(self) -> int:
        return self.num_samples

    def __getitem__(self, sample: int) -> NDArray[np.int64]:
        return self.sequences[self.order.sequence_of(sample)]

    def __getitems__(self, samples: Sequence[int]) -> NDArray[np.int64]:
        """A batch of samples as one (len(samples), sequence_length) int64 array, for PyTorch's loader."""
        return self.sequences.batch(self.order.sequence_of(np.asarray(samples, dtype=np.int64)))


def collate(rows: NDArray[np.int64]) -> dict[str, torch.Tensor]:
    """A batch for the model: `input_ids` and `labels`, both (batch, sequence_length) int64 and equal.

    The model shifts the labels. There is no `attention_mask`: one of all ones makes transformers drop the
    mask that keeps packed documents apart, without a word.
    """
    tokens = torch.from_numpy(rows)
    return {"input_ids": tokens, "labels": tokens}
