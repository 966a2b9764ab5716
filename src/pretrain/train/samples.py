"""The samples of a training run in the order of training."""

import signal
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, get_worker_info

from pretrain.sequences import SampleOrder, TokenSequences
from pretrain.train.batches import batch_of


class OrderedSamples(Dataset[NDArray[np.int64]]):
    """Place k of the run is sequence `sequence_at(k)`, for k below steps * global batch.

    A pure function of the place that draws no random number: the Trainer restores the generators only after
    it has fetched the first batch of a resumed run. Read in sequence: a resume skips places, never data.

    Args:
        sequences: the training split.
        seed: of the order.
        num_samples: samples of the whole run; more than the split has starts another epoch, shuffled anew.
        shifts: pairs of a place and by how many samples of the order all from there on are moved: where samples were
            skipped after a loss spike.
    """

    def __init__(
        self, sequences: TokenSequences, seed: int, num_samples: int, shifts: Sequence[Sequence[int]] = ()
    ) -> None:
        self.sequences = sequences
        self.order = SampleOrder(len(sequences), seed)
        self.num_samples = num_samples
        self.shifts = shifts
        self._is_set_up = False

    def __len__(self) -> int:
        return self.num_samples

    def sequence_at(self, place: int) -> int:
        """The sequence at a place of the run."""
        return self.order.sequence_of(sample_at(place, self.shifts))

    def __getitem__(self, place: int) -> NDArray[np.int64]:
        return self.sequences[self.sequence_at(place)]

    def __getitems__(self, places: Sequence[int]) -> dict[str, torch.Tensor]:
        """The batch of some places, for PyTorch's loader; see `batch_of`."""
        self._outlive_requests_to_stop()
        samples = np.asarray([sample_at(place, self.shifts) for place in places], dtype=np.int64)
        return batch_of(self.sequences, self.order.sequence_of(samples))

    def _outlive_requests_to_stop(self) -> None:
        # SIGTERM goes to the whole group, and the step that it finds at work is finished with what a worker reads.
        if not self._is_set_up and get_worker_info() is not None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._is_set_up = True


def sample_at(place: int, shifts: Sequence[Sequence[int]]) -> int:
    """The sample of the order at a place of the run, after all shifts that begin at it or before."""
    return int(place) + sum(moved for first, moved in shifts if first <= place)


def collate(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The batch as `OrderedSamples` made it."""
    return batch
