"""What is measured on validation sequences: block influence, and the loss right after init."""

import contextlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from pretrain.artifact import Artifact
from pretrain.errors import InputError
from pretrain.external import require_unchanged
from pretrain.init.plan import ModelPlan
from pretrain.runner import num_usable_cores
from pretrain.sequences import TokenSequences, read_index, read_token_bytes
from pretrain.stage import Stats, UnitFiles

if TYPE_CHECKING:
    import torch

    from pretrain.init.forward import Rows, StreamedModel


class MeasuringJob(NamedTuple):
    """A model, and the validation sequences of a pack artifact that it is measured on: the first `num_sequences`."""

    plan: ModelPlan
    pack: Artifact
    num_sequences: int


def measure_influence(files: UnitFiles, job: MeasuringJob) -> Stats:
    """Unit: `block_influence` of each layer, bottom first: 1 - mean cosine of its input and its output.

    0 is a layer that leaves the direction of the hidden state alone. The mean is over all tokens that are no padding.
    Source: ShortGPT (arXiv 2403.03853), equation 1.
    """
    with _model(job.plan) as model:
        from torch.nn.functional import cosine_similarity

        rows = _rows(job)
        is_token = _is_token(rows)
        influence = []
        before = None
        for after in model.hidden_states(rows):
            if before is not None:
                cosine = cosine_similarity(before[is_token].double(), after[is_token].double(), dim=-1)
                influence.append(1.0 - cosine.mean().item())
            before = after
    return {"block_influence": influence}


def measure_loss(files: UnitFiles, job: MeasuringJob) -> Stats:
    """Unit: `validation_loss` (nats a token), `validation_bits_per_byte` and `validation_sequences`.

    The same figures as `train` measures before its first step: the same targets and masks.
    """
    with _model(job.plan) as model:
        import torch
        from torch.nn.functional import cross_entropy

        rows = _rows(job)
        *_, hidden = model.hidden_states(rows)
        token_bytes = torch.from_numpy(read_token_bytes(job.pack).astype("int64"))
        is_target = _is_target(rows)
        nats = text_nats = 0.0
        num_targets = text_bytes = 0
        for number, logits in enumerate(model.logits(hidden)):
            targets = torch.from_numpy(rows.tokens[number, 1:])
            losses = cross_entropy(logits[:-1], targets.to(logits.device), reduction="none").double().cpu()
            losses, sizes = losses[is_target[number]], token_bytes[targets[is_target[number]]]
            nats += losses.sum().item()
            num_targets += losses.numel()
            text_nats += losses[sizes > 0].sum().item()
            text_bytes += int(sizes.sum())
    return {
        "validation_loss": nats / num_targets if num_targets else None,
        "validation_bits_per_byte": text_nats / math.log(2) / text_bytes if text_bytes else None,
        "validation_sequences": len(rows.tokens),
    }


def _rows(job: MeasuringJob) -> "Rows":
    from pretrain.init.forward import Rows

    index = read_index(job.pack)
    sequences = TokenSequences.from_artifact(job.pack, "validation")
    positions = range(min(job.num_sequences, len(sequences)))
    if not positions:
        raise InputError(
            "init measures on validation sequences, and the pack artifact has none: raise shard.validation_fraction, "
            "or leave validation_sequences and strategy block_influence out"
        )
    if index.vocab_size > job.plan.shape.vocab_size:
        raise InputError(
            f"init measures on validation sequences of token ids up to {index.vocab_size - 1}, but the model has "
            f"vocab_size {job.plan.shape.vocab_size} at this point: put resize_vocab before block_influence"
        )
    tokens = sequences.batch(positions)
    if not index.needs_documents:
        return Rows(tokens)
    position_ids, document_ids = sequences.documents(positions)
    if not index.isolate_documents:  # one document, and padding behind it that nothing attends to
        return Rows(tokens, None, document_ids.clip(max=0))
    return Rows(tokens, position_ids, document_ids)


def _is_token(rows: "Rows") -> "torch.Tensor":
    import torch

    if rows.documents is None:
        return torch.ones(rows.tokens.shape, dtype=torch.bool)
    return torch.from_numpy(rows.documents >= 0)


def _is_target(rows: "Rows") -> "torch.Tensor":
    """Which tokens but the first are predicted: no padding, and no first token of a document kept from the others."""
    import torch

    is_target = _is_token(rows)[:, 1:]
    return is_target if rows.positions is None else is_target & torch.from_numpy(rows.positions[:, 1:] > 0)


@contextlib.contextmanager
def _model(plan: ModelPlan) -> Iterator["StreamedModel"]:
    """The model on the accelerator where there is one, else on every core: this unit runs alone."""
    import torch

    from pretrain.init.forward import StreamedModel

    for file in {source.file for source in plan.tensors.values() if source.file is not None}:
        require_unchanged(file)
    wanted = {"float32": torch.float32, "bfloat16": torch.bfloat16}[plan.dtype]
    threads = torch.get_num_threads()
    torch.set_num_threads(num_usable_cores())
    try:
        yield StreamedModel(
            plan,
            "cuda" if torch.cuda.is_available() else "cpu",
            lambda name: plan.tensors[name].read().to(wanted),
        )
    finally:
        torch.set_num_threads(threads)
