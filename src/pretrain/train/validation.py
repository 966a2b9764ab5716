"""Loss and bits per byte on a fixed set of validation sequences."""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from pretrain.sequences import TokenSequences
from pretrain.train.batches import IGNORED, batch_of, model_inputs
from pretrain.train.processes import num_processes, process_index, sum_over_processes
from pretrain.train.record import ValidationFigures
from pretrain.train.sharding import release


class Validation:
    """Measures a model on the first sequences of the validation split.

    Training is not disturbed: the model's mode and the generators are as before, and no gradient is kept. Several
    processes share the batches out among themselves, and have the same figures.

    Args:
        sequences: the validation split.
        token_bytes: UTF-8 bytes that each token stands for, (vocab_size,) integers; 0 for special tokens.
        num_sequences: how many sequences are measured.
        batch_size: sequences in one forward pass; results differ by float rounding only.
    """

    def __init__(
        self, sequences: TokenSequences, token_bytes: NDArray[np.int32], num_sequences: int, batch_size: int
    ) -> None:
        self.sequences = sequences
        self.token_bytes = torch.from_numpy(token_bytes.astype(np.int64))
        self.num_sequences = min(num_sequences, len(sequences))
        self.batch_size = batch_size

    def measure(self, model: PreTrainedModel, beat: Callable[[], None] = lambda: None) -> ValidationFigures:
        """The figures of `model` as it is now; `beat` is called after every batch.

        Bits per byte are the nats of all targets that stand for text, over ln 2, over their bytes. Unlike the
        loss per token they compare models of different tokenizers. Source: nanochat, loss_eval.py.
        """
        was_training = model.training
        model.train(False)
        sums = torch.zeros(4, dtype=torch.float64)
        starts = range(0, self.num_sequences, self.batch_size)
        with torch.random.fork_rng(), torch.no_grad():
            for turn in range(0, len(starts), num_processes()):
                place = turn + process_index()
                # Of a sharded model all take every turn, and one beyond the last batch measures the first for nothing.
                measured = self._sums(model, starts[place] if place < len(starts) else 0)
                sums += measured if place < len(starts) else 0.0
                beat()
        model.train(was_training)
        release(model)
        if num_processes() > 1:
            sums = sum_over_processes(sums.to(model.device))
        nats, text_nats, targets, text_bytes = sums.tolist()
        return ValidationFigures(
            loss=nats / targets if targets else 0.0,
            bits_per_byte=text_nats / math.log(2) / text_bytes if text_bytes else 0.0,
        )

    def _sums(self, model: PreTrainedModel, start: int) -> torch.Tensor:
        """Nats, nats of targets that stand for text, targets, and bytes of text of one batch, (4,) float64."""
        batch = batch_of(self.sequences, range(start, min(start + self.batch_size, self.num_sequences)))
        is_target = batch["labels"][:, 1:].flatten() != IGNORED
        losses = _token_losses(model, batch)[is_target]
        sizes = self.token_bytes[batch["input_ids"][:, 1:].flatten()[is_target]]
        text_nats = losses[sizes > 0].sum()
        return torch.stack([losses.sum(), text_nats, torch.tensor(float(losses.numel())), sizes.sum().double()])


def _token_losses(model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The loss of every token but the first in nats, (batch * (length - 1),) float64 on the CPU."""
    moved = {name: value.to(model.device) for name, value in batch.items() if name != "labels"}
    logits = model(**model_inputs(moved, model.config._attn_implementation), use_cache=False).logits
    targets = moved["input_ids"][:, 1:].flatten()
    losses = cross_entropy(logits[:, :-1].flatten(0, 1).float(), targets, reduction="none")
    return losses.double().cpu()
