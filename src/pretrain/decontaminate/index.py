"""The index of all passages: built once, written as memory-mapped arrays, opened by every worker.

    scratch/index-<array>.npy     what the compiled loop reads (`NgramIndex`), and which n-gram is of which passage
    scratch/index-items.arrow     the names of tasks and items

Its size follows from the evaluation files: about 20 bytes for every word of them and 60 for every n-gram.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pretrain.decontaminate.config import DecontaminateConfig
from pretrain.decontaminate.inputs import input_name
from pretrain.decontaminate.items import read_items
from pretrain.decontaminate.kernels import (
    Bytes,
    Int32Array,
    Int64Array,
    NgramIndex,
    fold_codes,
    key_bits,
    ngram_keys,
    split_words,
)
from pretrain.decontaminate.normalization import fold_table
from pretrain.errors import InputError
from pretrain.external import ExternalInput
from pretrain.stage import Stats, UnitFiles

# 8 to 16 bits a key: few enough for a processor's cache, and about one word in 12 is looked up in vain.
_BITS_PER_KEY = 8
_NAMES_FILE = "scratch/index-items.arrow"
_SHAPE = "shape"  # the three numbers of `NgramIndex`
_NGRAM_ARRAYS = NgramIndex._fields[:-3]
_PASSAGE_ARRAYS = ("first_passage", "passages", "num_ngrams", "first_item", "items")


class PassageIndex(NamedTuple):
    """The n-grams of all passages, and whose they are.

    Attributes:
        ngrams: what to look for.
        first_passage: n-gram i is of the passages `passages[first_passage[i]:first_passage[i + 1]]`.
        passages: see `first_passage`; the passages of an n-gram are distinct.
        num_ngrams: distinct n-grams of each passage.
        first_item: passage i is of the items `items[first_item[i]:first_item[i + 1]]`.
        items: see `first_item`; rows of `names`.
        names: the columns task and item, in order of the recipe and the files.
    """

    ngrams: NgramIndex
    first_passage: Int64Array
    passages: Int64Array
    num_ngrams: Int64Array
    first_item: Int64Array
    items: Int64Array
    names: pa.Table


class IndexUnit(NamedTuple):
    """The one unit that builds the index."""

    config: DecontaminateConfig
    external: Mapping[str, ExternalInput]


class _Vocabulary:
    """Numbers for words, and the distinct sequences of them that passages are."""

    def __init__(self) -> None:
        self.fold = fold_table()
        self.hashes: list[int] = []
        self.spellings: list[Int32Array] = []
        self._by_spelling: dict[bytes, int] = {}
        self._by_bytes: dict[bytes, int] = {}

    def words(self, text: str) -> Int32Array:
        """The numbers of the words of a text. Shape (num_words,)."""
        data = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
        starts, ends, hashes = split_words(data, self.fold)
        spans = zip(starts.tolist(), ends.tolist(), hashes.tolist(), strict=True)
        return np.array([self._number(data[start:end], value) for start, end, value in spans], np.int32)

    def _number(self, word: Bytes, value: int) -> int:
        as_bytes = word.tobytes()
        number = self._by_bytes.get(as_bytes)
        if number is None:
            spelling = fold_codes(word, self.fold)
            number = self._by_spelling.setdefault(spelling.tobytes(), len(self.spellings))
            if number == len(self.spellings):
                self.spellings.append(spelling)
                self.hashes.append(value)
            self._by_bytes[as_bytes] = number
        return number


def build_index(files: UnitFiles, unit: IndexUnit) -> Stats:
    """Reads the evaluation files and writes the index.

    Returns:
        by task: items_by_task, passages_by_task (those looked for), passages_too_short_by_task.

    Raises:
        InputError: a file cannot be read, or a task has no passage that is long enough to be looked for.
    """
    config = unit.config
    vocabulary = _Vocabulary()
    passages: dict[bytes, list[int]] = {}
    names: list[tuple[str, str]] = []
    stats: Stats = {"items_by_task": {}, "passages_by_task": {}, "passages_too_short_by_task": {}}
    for task in config.task_files:
        num_found = num_short = 0
        items = read_items(task, unit.external[input_name(task.name)].files)
        for item in items:
            for text in item.passages:
                words = vocabulary.words(text)
                if len(words) < config.least_words(task):
                    num_short += 1
                    continue
                num_found += 1
                of_items = passages.setdefault(words.tobytes(), [])
                if not of_items or of_items[-1] != len(names):
                    of_items.append(len(names))
            names.append((task.name, item.id))
        if not num_found:
            raise InputError(
                f"{task.stated_in}: the task {task.name} has {num_short} passages, none of "
                f"{config.least_words(task)} words or more, so nothing would be looked for: lower "
                "decontaminate.min_words, or name more of its text (keys joined as in [question, answer])"
            )
        stats["items_by_task"][task.name] = len(items)
        stats["passages_by_task"][task.name] = num_found
        stats["passages_too_short_by_task"][task.name] = num_short
    least = min(map(config.least_words, config.task_files))
    _write(files, _arrays(vocabulary, passages, config.ngram, least), names)
    return stats


def _arrays(
    vocabulary: _Vocabulary, passages: Mapping[bytes, Sequence[int]], ngram: int, num_key_words: int
) -> dict[str, NDArray[Any]]:
    texts = [np.frombuffer(words, np.int32) for words in passages]
    words = np.concatenate(texts)
    lengths = np.array([len(text) for text in texts])
    passage_ends = np.cumsum(lengths)
    spans = np.minimum(lengths, ngram)
    counts = lengths - spans + 1
    of_passage = np.repeat(np.arange(len(texts)), counts)
    starts = np.arange(counts.sum()) + np.repeat((passage_ends - lengths) - (np.cumsum(counts) - counts), counts)
    first, same = _distinct(words, starts, spans[of_passage])
    starts, ends = starts[first], starts[first] + spans[of_passage][first]
    keys = ngram_keys(np.array(vocabulary.hashes, np.uint64)[words], ends, num_key_words)
    order = np.argsort(keys, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    pairs = np.unique(np.stack([rank[same], of_passage]), axis=1)
    distinct_keys, first_ngram = np.unique(keys[order], return_index=True)
    bucket_bits = max(1, len(distinct_keys).bit_length() - 1)
    num_bits = 1 << max(6, (_BITS_PER_KEY * len(distinct_keys) - 1).bit_length())
    return {
        "fold": vocabulary.fold,
        "bits": key_bits(distinct_keys, num_bits),
        "keys": distinct_keys,
        "first_ngram": np.append(first_ngram, len(keys)),
        "buckets": _offsets(
            np.bincount((distinct_keys >> np.uint64(64 - bucket_bits)).astype(np.int64), minlength=1 << bucket_bits)
        ),
        "starts": starts[order],
        "ends": ends[order],
        "words": words,
        "codes": np.concatenate(vocabulary.spellings),
        "first_code": _offsets(list(map(len, vocabulary.spellings))),
        _SHAPE: np.array([ngram, num_key_words, 64 - bucket_bits]),
        "first_passage": _offsets(np.bincount(pairs[0], minlength=len(keys))),
        "passages": pairs[1],
        "num_ngrams": np.bincount(pairs[1], minlength=len(texts)),
        "first_item": _offsets(list(map(len, passages.values()))),
        "items": np.concatenate([np.array(items) for items in passages.values()]),
    }


def _distinct(words: Int32Array, starts: Int64Array, widths: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The first of equal n-grams each, and for every n-gram which of those it equals: by its words, not a hash."""
    rows = np.full((len(starts), int(widths.max())), -1, np.int32)
    for column in range(rows.shape[1]):
        has_word = widths > column
        rows[has_word, column] = words[starts[has_word] + column]
    as_bytes = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    _, first, same = np.unique(as_bytes, return_index=True, return_inverse=True)
    return first, same


def _offsets(counts: "Sequence[int] | Int64Array") -> Int64Array:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _write(files: UnitFiles, arrays: Mapping[str, NDArray[Any]], names: Sequence[tuple[str, str]]) -> None:
    for name, array in arrays.items():
        with files.create(_array_file(name)) as output, output.path.open("wb") as file:
            np.save(file, array, allow_pickle=False)
    tasks, items = zip(*names, strict=True)
    table = pa.table({"task": pa.array(tasks, pa.string()), "item": pa.array(items, pa.string())})
    with files.create(_NAMES_FILE) as output, pa.ipc.new_file(output.path, table.schema) as writer:
        writer.write_table(table)


def open_index(files: UnitFiles) -> PassageIndex:
    """The index that `build_index` wrote, its memory shared by the processes of a machine."""
    names = (*_NGRAM_ARRAYS, _SHAPE, *_PASSAGE_ARRAYS)
    return _opened(tuple((name, files.scratch(_array_file(name))) for name in names), files.scratch(_NAMES_FILE))


@functools.lru_cache(maxsize=1)
def _opened(paths: tuple[tuple[str, Path], ...], names: Path) -> PassageIndex:
    # asarray: for the class memmap, numba would compile every kernel anew
    arrays: dict[str, Any] = {
        name: np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)) for name, path in paths
    }
    shape = dict(zip(NgramIndex._fields[-3:], arrays[_SHAPE].tolist(), strict=True))
    ngrams = NgramIndex(**{name: arrays[name] for name in _NGRAM_ARRAYS}, **shape)
    table = pa.ipc.open_file(pa.memory_map(str(names))).read_all()
    return PassageIndex(ngrams=ngrams, names=table, **{name: arrays[name] for name in _PASSAGE_ARRAYS})


def _array_file(name: str) -> str:
    return f"scratch/index-{name}.npy"
