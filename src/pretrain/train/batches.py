"""Sequences as what a model takes, documents kept apart where the pack artifact says so."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch._dynamo import maybe_mark_dynamic

from pretrain.errors import StageError
from pretrain.sequences import TokenSequences

IGNORED = -100  # the label that torch's cross entropy leaves out

VARLEN = "varlen"  # the attention of pretrain.train.attention

# What of a batch is for `model_inputs` and not for the model.
_DOCUMENT_IDS = "document_ids"
_BORDERS = "document_borders"


def batch_of(sequences: TokenSequences, positions: Sequence[int] | NDArray[Any]) -> dict[str, torch.Tensor]:
    """A batch of sequences, all (len(positions), sequence_length) int64.

    `input_ids`, and `labels`, which the model shifts: the same, but `IGNORED` at padding. With documents isolated the
    first token of each is `IGNORED` too, as no token before it is its document's, and `position_ids` (from 0 in each
    document) comes along; and for `model_inputs` `document_ids` (-1 at padding) and `document_borders`: where documents
    begin in the rows one after another, padding as one of its own, and the end, (documents + 1,) int32.

    There is no `attention_mask`: one of all ones makes transformers drop the mask that keeps packed documents apart,
    without a word (huggingface/transformers#46634).
    """
    rows = sequences.batch(positions)
    tokens = torch.from_numpy(rows)
    if not sequences.index.needs_documents:
        return {"input_ids": tokens, "labels": tokens}
    position_ids, document_ids = sequences.documents(positions)
    # By numpy: torch would start threads for it, in a loader's worker beside those that train.
    labels = np.where(document_ids < 0, IGNORED, rows)
    if not sequences.index.isolate_documents:
        return {"input_ids": tokens, "labels": torch.from_numpy(labels)}
    labels[position_ids == 0] = IGNORED
    return {
        "input_ids": tokens,
        "labels": torch.from_numpy(labels),
        "position_ids": torch.from_numpy(position_ids),
        _DOCUMENT_IDS: torch.from_numpy(document_ids),
        _BORDERS: torch.from_numpy(_borders(document_ids)),
    }


def model_inputs(batch: dict[str, Any], attention: str, *, is_compiled: bool = False) -> dict[str, Any]:
    """The batch with its documents kept apart, on the device that it is on.

    The mask is made here and given whole, (batch, 1, length, length): that transformers (5.23) finds documents in
    `position_ids` by itself hangs on the cache being off, and fails in silence, logits of one document depending on
    another. Flex attention takes no such mask, and does find documents there. Flash attention does so in a batch of one
    row only (transformers' `_is_packed_sequence`), so that it is told where the documents begin, over all rows.

    Args:
        batch: as of `batch_of`.
        attention: the model's `config._attn_implementation`.
        is_compiled: whether the model is compiled. PyTorch is then told that the number of documents differs between
            batches, or it would compile the model anew for the second.

    Raises:
        StageError: it is not known how this attention is told of documents.
    """
    if _DOCUMENT_IDS not in batch:
        return batch
    inputs = {name: value for name, value in batch.items() if name not in (_DOCUMENT_IDS, _BORDERS)}
    documents = batch[_DOCUMENT_IDS]
    length = documents.shape[1]
    if "flash" in attention or attention == VARLEN:  # by the names of transformers' FlashAttentionKwargs
        borders = batch[_BORDERS]
        if is_compiled:
            maybe_mark_dynamic(borders, 0)
        # The longest document would be another number in every batch, for which a compiled model is compiled anew.
        lengths = {"max_length_q": length, "max_length_k": length}
        return inputs | {"cu_seq_lens_q": borders, "cu_seq_lens_k": borders} | lengths
    if attention == "flex_attention":
        return inputs
    if attention not in ("sdpa", "eager"):
        raise StageError(f"attention {attention!r} cannot keep documents apart: set train.attention to sdpa or varlen")
    is_seen = torch.ones(length, length, dtype=torch.bool, device=documents.device).tril()
    is_seen = is_seen & (documents[:, :, None] == documents[:, None, :])
    if attention == "eager":  # adds the mask to the scores
        scores = torch.zeros(is_seen.shape, device=documents.device)
        inputs["attention_mask"] = scores.masked_fill(~is_seen, torch.finfo(scores.dtype).min)[:, None]
    else:
        inputs["attention_mask"] = is_seen[:, None]
    return inputs


def first_tokens(batch: dict[str, torch.Tensor], length: int) -> dict[str, torch.Tensor]:
    """The first `length` tokens of every row of a batch with documents."""
    cut = {name: values[:, :length] for name, values in batch.items() if name != _BORDERS}
    return cut | {_BORDERS: torch.from_numpy(_borders(cut[_DOCUMENT_IDS].numpy()))}


def _borders(document_ids: NDArray[np.int64]) -> NDArray[np.int32]:
    is_first = np.ones(document_ids.shape, dtype=bool)
    is_first[:, 1:] = document_ids[:, 1:] != document_ids[:, :-1]
    return np.append(np.flatnonzero(is_first), document_ids.size).astype(np.int32)
