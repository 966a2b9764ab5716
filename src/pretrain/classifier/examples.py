"""The examples of a training on disk: each text once, in an order by hash, apart from those that are held out.

The hash of a text alone says where it stands and on which side of the split, so that no text is on both, whatever
the order of files; the texts of a sample are those that come first.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pretrain.fasttext_model import as_line

_LABEL_PREFIX = "__label__"


class Example(NamedTuple):
    """One text in the file of all, by its hash: 16 bytes, of which the first half orders and the second splits."""

    digest: bytes
    label: str
    start: int
    num_bytes: int


class Examples:
    """Texts as fastText reads them, one line each, collected in a file. Use as a context manager.

    Args:
        path: the file to write.
        seed: another one gives another order and another split.
        max_chars: how much of a text counts; None: all.

    Attributes:
        num_duplicates: texts left out, for they were there before with the same label.
        num_contradictions: distinct texts left out, for they were there with both labels.
    """

    def __init__(self, path: Path, *, seed: int, max_chars: int | None) -> None:
        self._file = path.open("w+b")
        self._salt = seed.to_bytes(hashlib.blake2b.SALT_SIZE, "little")
        self._max_chars = max_chars
        self._by_digest: dict[bytes, Example | None] = {}
        self.num_duplicates = 0
        self.num_contradictions = 0

    def add(self, text: str, label: str) -> None:
        """Adds a text, unless it was there before or holds no word."""
        # A word that begins as a label does would be one.
        line = as_line(text, self._max_chars, "space").replace(_LABEL_PREFIX, " ").strip()
        if not line:
            return
        data = line.encode()
        digest = hashlib.blake2b(data, digest_size=16, salt=self._salt).digest()
        known = self._by_digest.get(digest)
        if digest not in self._by_digest:
            start = self._file.seek(0, 2)
            self._file.write(data)
            self._by_digest[digest] = Example(digest, label, start, len(data))
        elif known is not None and known.label != label:
            self._by_digest[digest] = None
            self.num_contradictions += 1
        else:
            self.num_duplicates += 1

    def chosen(self, max_documents: int | None) -> list[Example]:
        """The first `max_documents` of each label, in the order of their hashes."""
        found = sorted(example for example in self._by_digest.values() if example is not None)
        taken: Counter[str] = Counter()
        chosen = []
        for example in found:
            if max_documents is None or taken[example.label] < max_documents:
                taken[example.label] += 1
                chosen.append(example)
        return chosen

    def lines(self, examples: list[Example]) -> Iterator[tuple[str, str]]:
        """The label and the line of each example."""
        for example in examples:
            self._file.seek(example.start)
            yield example.label, self._file.read(example.num_bytes).decode()

    def __enter__(self) -> "Examples":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._file.close()


def is_held_out(example: Example, fraction: float) -> bool:
    """Whether an example is among the `fraction` that is measured on."""
    return int.from_bytes(example.digest[8:], "big") < fraction * (1 << 64)


def write_training_file(path: Path, lines: Iterator[tuple[str, str]]) -> None:
    """Writes examples as fastText's supervised training reads them."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for label, line in lines:
            file.write(f"{_LABEL_PREFIX}{label} {line}\n")
