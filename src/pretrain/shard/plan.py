"""Where each document goes: its split, its place in the split's order, and the part that this place falls in.

Each document has two 64-bit hashes of (seed, id): one decides the split, the other its place when shuffled.
Both are the same whatever else is in the corpus, so that parts of any number and size give the same result.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pretrain.shard.config import ShardConfig

SPLITS = ("train", "validation")

Keys = NDArray[np.uint64]


class SplitPlan(NamedTuple):
    """One split: its number of documents, and the smallest order key of each part but the first."""

    num_documents: int
    part_sizes: list[int]
    boundaries: Keys


class ShardPlan(NamedTuple):
    """The whole cut. A document is in validation iff its split hash is below `threshold`.

    Parts are numbered over both splits as targets: those of train first, then those of validation.
    """

    threshold: int
    train: SplitPlan
    validation: SplitPlan


def document_hashes(ids: Sequence[str], seed: int) -> Keys:
    """The (split, order) hashes of documents, (len(ids), 2) uint64, uniform over 64 bits and independent."""
    base = hashlib.blake2b(f"{seed}\0".encode(), digest_size=16, person=b"pretrain.shard")
    digests = bytearray()
    for document_id in ids:
        hasher = base.copy()
        hasher.update(document_id.encode())
        digests += hasher.digest()
    return np.frombuffer(bytes(digests), dtype="<u8").astype(np.uint64).reshape(-1, 2)


def make_plan(hashes_of_parts: Sequence[Keys], config: ShardConfig) -> ShardPlan:
    """The cut of a corpus given the hashes of its documents, one (n, 2) array for each input part."""
    hashes = np.concatenate(hashes_of_parts) if hashes_of_parts else np.empty((0, 2), np.uint64)
    threshold = _validation_threshold(hashes[:, 0], config.validation_fraction)
    in_validation = hashes[:, 0] < threshold
    keys = {"train": hashes[~in_validation, 1], "validation": hashes[in_validation, 1]}
    if not config.shuffle:
        keys = {split: np.arange(len(values), dtype=np.uint64) for split, values in keys.items()}
    train = _cut(keys["train"], config.parts)
    largest = max(train.part_sizes, default=1)
    validation = _cut(keys["validation"], -(-len(keys["validation"]) // largest))
    return ShardPlan(threshold, train, validation)


def targets_of(plan: ShardPlan, in_validation: NDArray[np.bool_], keys: Keys) -> NDArray[np.int64]:
    """The target part of each document, given its split and its order key."""
    train = np.searchsorted(plan.train.boundaries, keys, side="right")
    validation = np.searchsorted(plan.validation.boundaries, keys, side="right")
    targets: NDArray[Any] = np.where(in_validation, len(plan.train.part_sizes) + validation, train)
    return targets.astype(np.int64)


def even_sizes(total: int, parts: int) -> list[int]:
    """Sizes of `total` items in at most `parts` parts that differ by at most one, the larger first."""
    parts = min(parts, total)
    return [total // parts + (index < total % parts) for index in range(parts)]


def _cut(keys: Keys, parts: int) -> SplitPlan:
    sizes = even_sizes(len(keys), parts)
    starts = np.cumsum([0, *sizes])[1:-1]
    boundaries = np.partition(keys, starts)[starts] if len(starts) else np.empty(0, np.uint64)
    return SplitPlan(len(keys), sizes, boundaries)


def _validation_threshold(split_hashes: Keys, fraction: float) -> int:
    if fraction == 0 or not len(split_hashes):
        return 0
    # Above the smallest hash and not above the largest: a document on either side of a corpus of two or more.
    return min(max(int(fraction * 2.0**64), int(split_hashes.min()) + 1), int(split_hashes.max()))
