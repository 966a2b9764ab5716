"""The order in which documents have a right to stay: of several duplicates, the first in it is kept.

Every document has a key of four 64-bit numbers, compared one after the other:

    old documents (`against`) before new, protected before removable, rank of the source, quality
    length, or arrival, or nothing
    the 128 bits of the id
"""

import re

import numpy as np
import pyarrow as pa

from pretrain.dedup.config import KeepConfig
from pretrain.dedup.shuffle import Int64Array, UInt64Array
from pretrain.errors import StageError

KEY_COLUMNS = 4
_NEW, _REMOVABLE, _RANK = np.uint64(63), np.uint64(62), np.uint64(32)
_NO_QUALITY = np.uint32(0xFFFFFFFF)
_SIGN = np.uint32(1 << 31)
_HEX_ID = re.compile(r"[0-9a-f]{32}")


def keeper_keys(documents: pa.Table, keep: KeepConfig, start: int, *, is_old: bool = False) -> UInt64Array:
    """The keys of consecutive documents, shape (n, 4).

    Args:
        documents: columns `id`, `source`, `text_bytes` and, with a quality key, `quality`.
        keep: the policy.
        start: index of the first document.
        is_old: whether they belong to an artifact of `against`.

    Raises:
        StageError: an id is not 32 hex digits.
    """
    keys = np.zeros((documents.num_rows, KEY_COLUMNS), np.uint64)
    keys[:, 0] = _source_bits(documents["source"], keep)
    if not is_old:
        keys[:, 0] |= np.uint64(1) << _NEW
    if keep.quality_key is not None:
        keys[:, 0] |= _quality_bits(documents["quality"].to_numpy())
    if keep.order == "longest":
        keys[:, 1] = np.uint64((1 << 63) - 1) - documents["text_bytes"].to_numpy().astype(np.uint64)
    elif keep.order == "first":
        keys[:, 1] = np.arange(start, start + documents.num_rows, dtype=np.uint64)
    keys[:, 2:] = id_bits(documents["id"].to_pylist())
    return keys


def keeper_order(keys: UInt64Array, *leading: UInt64Array | Int64Array) -> Int64Array:
    """The positions of documents from the one most wanted to the least, within equal `leading` columns."""
    columns = [*leading, *(keys[:, column] for column in range(keys.shape[1]))]
    return np.lexsort(columns[::-1]).astype(np.int64)


def is_removable(keys: UInt64Array) -> np.ndarray:
    """Whether documents may go at all, by their keys. Shape (n,)."""
    both = np.uint64(3) << _REMOVABLE
    found: np.ndarray = (keys[:, 0] & both) == both
    return found


def is_old(keys: UInt64Array) -> np.ndarray:
    """Whether documents belong to an artifact of `against`. Shape (n,)."""
    found: np.ndarray = keys[:, 0] >> _NEW == 0
    return found


def id_bits(ids: list[str]) -> UInt64Array:
    """The two halves of 128-bit ids, shape (n, 2).

    Raises:
        StageError: an id is not 32 hex digits.
    """
    text = "".join(ids)
    try:
        joined = bytes.fromhex(text)
    except ValueError:
        joined = b""
    if joined.hex() != text or not set(map(len, ids)) <= {32}:
        wrong = next(each for each in ids if not _HEX_ID.fullmatch(each))
        raise StageError(
            f"the id {wrong!r} is not 32 lower-case hex digits: documents for dedup come from a pretrain "
            "stage, whose ids are made by pretrain.documents.document_id"
        )
    return np.frombuffer(joined, ">u8").astype(np.uint64).reshape(-1, 2)


def id_texts(halves: UInt64Array) -> list[str]:
    """The ids of which `id_bits` gave the halves."""
    digits = halves.astype(">u8").tobytes().hex()
    return [digits[start : start + 32] for start in range(0, len(digits), 32)]


def id_column(halves: UInt64Array) -> pa.StringArray:
    """As `id_texts`, in 36 bytes an id instead of the 90 of a string in a list."""
    ends = pa.py_buffer(np.arange(0, 32 * len(halves) + 1, 32, dtype=np.int32))
    digits = pa.py_buffer(halves.astype(">u8").tobytes().hex().encode())
    return pa.StringArray.from_buffers(len(halves), ends, digits)


def _source_bits(sources: pa.ChunkedArray, keep: KeepConfig) -> UInt64Array:
    ranks = {source: rank for rank, source in enumerate(keep.prefer_sources)}
    removable = set(keep.removable_sources)
    values = {
        source: ranks.get(source, len(ranks)) << int(_RANK)
        | (keep.copies != "all_but" or source in removable) << int(_REMOVABLE)
        for source in sources.unique().to_pylist()
    }
    return np.array([values[source] for source in sources.to_pylist()], np.uint64)


def _quality_bits(quality: np.ndarray) -> UInt64Array:
    """Numbers that grow as quality falls: the bits of a float, ordered as its value is, turned round."""
    bits = quality.astype(np.float32).view(np.uint32)
    ordered = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    return np.where(np.isnan(quality), _NO_QUALITY, ~ordered).astype(np.uint64)
