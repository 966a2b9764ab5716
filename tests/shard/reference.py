"""The mixture and the order once more: one document at a time, in Python's own integers."""

import hashlib
from collections.abc import Mapping
from fractions import Fraction

from pretrain.documents import Document

_MASK = 2**64 - 1


def hashes(document_id: str, seed: int) -> tuple[int, int]:
    """The (split, order) hashes."""
    data = f"{seed}\0{document_id}".encode()
    digest = hashlib.blake2b(data, digest_size=16, person=b"pretrain.shard").digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


def mix64(value: int) -> int:
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31


def draw(document_id: str, seed: int) -> Fraction:
    return Fraction(mix64(hashes(document_id, seed)[1] ^ 0xD1B54A32D192ED03) >> 32, 2**32)


def is_in_validation(documents: list[Document], fraction: float, seed: int) -> dict[str, bool]:
    """By id; with two or more documents there is one on each side."""
    splits = {document.id: hashes(document.id, seed)[0] for document in documents}
    smallest, largest = min(splits.values()), max(splits.values())
    threshold = min(max(int(fraction * 2.0**64), smallest + 1), largest) if fraction else 0
    return {document_id: split < threshold for document_id, split in splits.items()}


def order(copies: Mapping[Document, int], seed: int, *, shuffle: bool) -> list[Document]:
    """The rows of a split. `copies` is in order of arrival."""
    if not shuffle:
        return [one for epoch in range(max(copies.values(), default=0)) for one in copies if copies[one] > epoch]
    keyed = []
    for document, number in copies.items():
        first = hashes(document.id, seed)[1]
        keys = [first] + [mix64(first + again * 0x9E3779B97F4A7C15 & _MASK) for again in range(1, number)]
        keyed += [(key, document) for key in keys[:number]]
    return [document for _, document in sorted(keyed)]


def nearest_copies(train: list[Document], target_bytes: float, seed: int) -> dict[Document, int]:
    """How often each document of one source is in train: of all numbers of epochs, those nearest to the target."""
    draws = {document: draw(document.id, seed) for document in train}
    candidates = sorted({Fraction(0)} | {epoch - draws[one] for one in train for epoch in range(1, 12)})
    found = {epochs: {one: int(epochs + draws[one]) for one in train} for epochs in candidates}

    def distance(epochs: Fraction) -> float:
        return abs(sum(len(one.text.encode()) * number for one, number in found[epochs].items()) - target_bytes)

    return found[min(candidates, key=distance)]
