"""The documents of the stage, numbered by arrival, and how they are cut into groups of bounded memory."""

from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pretrain.artifact import Artifact, PartRecord
from pretrain.stage import UnitFiles, part_name

LIBRARIES_BYTES = 384 << 20
# What the widest row of the shuffles takes with its sort's copies.
_BYTES_PER_DOCUMENT = 320
# Where memory allows more, a group has so many documents, so that workers share a corpus of a few parts; there are some
# 16 groups of one that a worker takes minutes for, and 64 of a large one. Less is not worth a unit.
_LEAST_GROUP_DOCUMENTS = 1 << 14
_GROUP_DOCUMENTS = 1 << 17
_NUM_GROUPS_OF_SMALL, _NUM_GROUPS = 16, 64
# A corpus of few parts is cut into about so many pieces of parts, of a multiple of so many rows.
_NUM_PIECES = 32
PIECE_ROWS = 4096


class CorpusPart(NamedTuple):
    """One part: row `i` of it is document `start + i`.

    number: of the part in its artifact.
    start: index of its first document.
    num_documents: rows that it had before deduplication.
    artifact: where its texts are.
    part: of that artifact.
    is_old: belongs to an artifact of `against`, whose signatures are there and whose duplicates are gone.
    """

    number: int
    start: int
    num_documents: int
    artifact: Artifact
    part: PartRecord
    is_old: bool = False

    @property
    def stop(self) -> int:
        """Index after its last document."""
        return self.start + self.num_documents

    def signatures(self, files: UnitFiles, kind: str) -> Path:
        """The local file of its signatures of a kind (`documents`, `minhash`)."""
        if self.is_old:
            return self.artifact.open_part(old_signature_path(kind, self.part))
        return files.scratch(signature_path(kind, self.number))


class Piece(NamedTuple):
    """The documents from `start` up to `stop`, all of one part."""

    part: CorpusPart
    start: int
    stop: int


class Group(NamedTuple):
    """Parts that one unit of work takes together."""

    number: int
    parts: tuple[CorpusPart, ...]

    @property
    def start(self) -> int:
        """Index of its first document."""
        return self.parts[0].start

    @property
    def stop(self) -> int:
        """Index after its last document."""
        return self.parts[-1].stop


class Layout(NamedTuple):
    """How the work is cut. It follows from the corpus and the memory limit, never from the workers.

    groups: all parts.
    num_documents: of all parts.
    budget_bytes: for the arrays of one unit.
    group_documents: the most of a group, unless a single part has more.
    """

    groups: tuple[Group, ...]
    num_documents: int
    budget_bytes: int
    group_documents: int

    @property
    def starts(self) -> list[int]:
        """Index of the first document of every group, and the number of all documents last."""
        return [*(group.start for group in self.groups), self.num_documents]

    def pieces(self, part: CorpusPart) -> list[Piece]:
        """What workers share of a part where there are few: itself in one piece, or in several."""
        num_rows = PIECE_ROWS * max(1, -(-self.num_documents // (_NUM_PIECES * PIECE_ROWS)))
        starts = range(part.start, max(part.stop, part.start + 1), num_rows)
        return [Piece(part, start, stop) for start, stop in pairwise([*starts, part.stop])]

    def num_partitions(self, num_rows: int, row_bytes: int | None = None) -> int:
        """Into how many partitions rows are cut so that one fits the budget; twice, as hashes are uneven.

        Rows about documents are cut at least as finely as groups are.

        Args:
            num_rows: in all.
            row_bytes: that one takes with the copies of sorting; None for a row about a document.
        """
        least = 1 if row_bytes else max(1, -(-num_rows // self.group_documents))
        return max(least, -(-2 * num_rows * (row_bytes or _BYTES_PER_DOCUMENT) // self.budget_bytes))

    def name(self, kind: str, number: int) -> str:
        """The name of a unit: another limit gives other units, which must not take these for their own."""
        return f"{kind}-{self.budget_bytes >> 20}m-{self.group_documents}d-{number:05d}"


def make_layout(parts: list[CorpusPart], memory_limit_bytes: int) -> Layout:
    """Groups consecutive parts up to the memory that their keys take in one unit."""
    budget = (memory_limit_bytes - LIBRARIES_BYTES) >> 20 << 20  # names of units tell MiB
    num_documents = parts[-1].stop if parts else 0
    least = min(_GROUP_DOCUMENTS, max(_LEAST_GROUP_DOCUMENTS, -(-num_documents // _NUM_GROUPS_OF_SMALL)))
    most = min(budget // _BYTES_PER_DOCUMENT, max(least, -(-num_documents // _NUM_GROUPS)))
    groups: list[list[CorpusPart]] = []
    for part in parts:
        if groups and part.stop - groups[-1][0].start <= most:
            groups[-1].append(part)
        else:
            groups.append([part])
    numbered = tuple(Group(number, tuple(group)) for number, group in enumerate(groups))
    return Layout(numbered, num_documents, budget, most)


def old_signature_path(kind: str, part: PartRecord) -> str:
    """The path of the signatures that belong to a data part of a finished artifact."""
    return f"signatures/{kind}/{PurePosixPath(part.path).name}"


def signature_path(kind: str, number: int) -> str:
    """The path of a part's signatures inside the artifact."""
    return f"signatures/{kind}/{part_name(number)}.parquet"
