"""The samples of a training run in the order of training."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from pretrain.sequences import SampleOrder, TokenSequences
from pretrain.train.batches import batch_of


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

    def __getitems__(self, samples: Sequence[int]) -> dict[str, torch.Tensor]:
        """The batch of some samples, for PyTorch's loader; see `batch_of`."""
        return batch_of(self.sequences, self.order.sequence_of(np.asarray(samples, dtype=np.int64)))


def collate(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The batch as `OrderedSamples` made it."""
    return batch
