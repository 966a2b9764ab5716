"""Task `bits_per_byte`: how well the model compresses held-out documents.

Bits for a byte of UTF-8 text compare models of different tokenizers, where loss for a token does not.
"""

import heapq
from collections.abc import Iterable

import pyarrow as pa

from pretrain.documents import Document
from pretrain.errors import StageError
from pretrain.eval.config import EvalConfig
from pretrain.eval.tasks import EvalTask, stable_key

_COLUMNS = pa.schema([pa.field("id", pa.string()), pa.field("text", pa.large_string())])
_HARNESS = {
    "output_type": "loglikelihood_rolling",
    "doc_to_text": "",
    "doc_to_target": "text",
    # word_perplexity is added by the worker: the harness overflows on text without spaces
    "metric_list": [
        {"metric": "bits_per_byte", "aggregation": "bits_per_byte", "higher_is_better": False},
        {"metric": "byte_perplexity", "aggregation": "weighted_perplexity", "higher_is_better": False},
    ],
}


def bits_per_byte(documents: Iterable[Document], config: EvalConfig, seed: int) -> EvalTask:
    """The beginnings of validation documents, chosen and ordered by hash of seed and document id.

    Raises:
        StageError: there is no document with text.
    """
    own = config.bits_per_byte
    beginnings = ((document.id, document.text[: own.document_chars]) for document in documents)
    chosen = heapq.nsmallest(
        own.num_documents,
        ((id, text) for id, text in beginnings if text.strip()),
        key=lambda pair: stable_key(seed, "document", pair[0]),
    )
    if not chosen:
        raise StageError(
            "eval task bits_per_byte found no validation document with text: "
            "raise shard.validation_fraction, or leave the task out of eval.tasks"
        )
    rows = [{"id": id, "text": text} for id, text in chosen]
    return EvalTask("bits_per_byte", _HARNESS, _COLUMNS, rows, holds="documents")
