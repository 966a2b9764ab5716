"""Task `continuation_choice`: which continuation belongs to the beginning of this document?

The other choices are what follows the beginning of other documents, cut in the same way, so that all choices
are text of the same kind, from the same place in a document and of about the same length. It asks of a small
model what it can have learned (topic, style, agreement), where exam questions stay at chance.
"""

import heapq
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa

from pretrain.documents import Document
from pretrain.errors import StageError
from pretrain.eval.config import EvalConfig
from pretrain.eval.tasks import EvalTask, stable_key

_COLUMNS = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("context", pa.string()),
        pa.field("choices", pa.list_(pa.string())),
        pa.field("answer", pa.int64()),
    ]
)
_HARNESS = {
    "output_type": "multiple_choice",
    "doc_to_text": "context",
    "doc_to_choice": "choices",
    "doc_to_target": "answer",
    "target_delimiter": " ",
    "metric_list": [
        {"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in ("acc", "acc_norm")
    ],
}


class Excerpt(NamedTuple):
    """The beginning of a document and what follows it, both stripped of white space at their ends."""

    id: str
    context: str
    continuation: str


def continuation_choice(documents: Iterable[Document], config: EvalConfig, seed: int) -> EvalTask:
    """The questions, one a document, chosen and ordered by hash of seed and document id.

    Raises:
        StageError: not one question can be made.
    """
    own = config.continuation_choice
    wanted = own.num_questions + config.num_fewshot
    counted = _Counted(documents)
    # Questions come first, the rest of the pool gives false continuations: its size bounds the memory.
    pool = heapq.nsmallest(
        wanted * own.num_choices,
        _excerpts(counted, own.context_chars, own.continuation_chars),
        key=lambda excerpt: stable_key(seed, "question", excerpt.id),
    )
    rows = [row for excerpt in pool[:wanted] if (row := _question(excerpt, pool, own.num_choices, seed))]
    # A question to score goes before an example to show, where there are too few documents for both.
    num_scored = max(len(rows) - config.num_fewshot, 0)
    if num_scored == 0:
        raise StageError(
            f"eval task continuation_choice can make no question from {counted.count} validation documents, "
            f"of which {len(pool)} are long enough: it takes {own.num_choices + config.num_fewshot} of "
            f"context_chars + continuation_chars = {own.context_chars + own.continuation_chars} characters. "
            "Raise shard.validation_fraction, lower these keys, or leave the task out of eval.tasks"
        )
    return EvalTask(
        "continuation_choice", _HARNESS, _COLUMNS, rows[:num_scored], rows[num_scored:], 1 / own.num_choices
    )


class _Counted:
    """Passes documents on and counts them, for the error message."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._documents = documents
        self.count = 0

    def __iter__(self) -> Iterator[Document]:
        for document in self._documents:
            self.count += 1
            yield document


def _excerpts(documents: Iterable[Document], context_chars: int, continuation_chars: int) -> Iterator[Excerpt]:
    for document in documents:
        text = document.text.strip()
        beginning = cut_between_words(text, context_chars)
        rest = text[len(beginning) :].lstrip()
        if len(beginning) >= context_chars * 4 // 5 and len(rest) >= continuation_chars:
            continuation = cut_between_words(rest, continuation_chars)
            yield Excerpt(document.id, beginning.rstrip(), continuation.rstrip())


def cut_between_words(text: str, limit: int) -> str:
    """The beginning of `text`, at most `limit` characters, cut before a white space in its last fifth.

    Text without one there (a script without spaces, encoded data) is cut at `limit`.
    """
    if len(text) <= limit:
        return text
    boundary = next((at for at in range(limit, limit * 4 // 5, -1) if text[at].isspace()), limit)
    return text[:boundary]


def _question(excerpt: Excerpt, pool: list[Excerpt], num_choices: int, seed: int) -> dict[str, Any] | None:
    choices = [excerpt.continuation]
    start = stable_key(seed, "false", excerpt.id)
    for step in range(len(pool)):
        other = pool[(start + step) % len(pool)]
        # The same beginning (a licence header) may well go on in either way: no fair choice.
        if other.context != excerpt.context and other.continuation not in choices:
            choices.append(other.continuation)
        if len(choices) == num_choices:
            order = sorted(range(num_choices), key=lambda at: stable_key(seed, "order", excerpt.id, str(at)))
            return {
                "id": excerpt.id,
                "context": excerpt.context,
                "choices": [choices[at] for at in order],
                "answer": order.index(0),
            }
    return None
