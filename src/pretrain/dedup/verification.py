"""The exact Jaccard similarity of candidate pairs: |A & B| / |A | B| of the two texts' sets of word n-grams.

Whole texts count, also beyond `max_chars`. Each text is read and cut once: the sorted n-gram hashes of all
candidates of a part lie in one flat file (`scratch/ngrams-00000.bin`, uint64), and pairs are compared by
mapping those files.
"""

from typing import NamedTuple

import numpy as np

from pretrain.artifact import Artifact, PartRecord
from pretrain.dedup.candidates import DOCUMENTS, PAIRS
from pretrain.dedup.kernels import UInt64Array, count_common, hash_words, ngram_hashes
from pretrain.dedup.signatures import Corpus, Int64Array, ReadScratch
from pretrain.dedup.texts import read_texts
from pretrain.stage import Stats, UnitFiles

# Some ten seconds of comparing pages of a thousand words.
PAIRS_PER_UNIT = 1 << 18

VERIFIED = np.dtype([("left", np.int64), ("right", np.int64), ("jaccard", np.float64)])


class NgramUnit(NamedTuple):
    """One input part, whose candidates are cut into n-grams."""

    artifact: Artifact
    part: PartRecord
    part_index: int
    corpus: Corpus
    ngram: int


class VerifyUnit(NamedTuple):
    """The candidate pairs from `first` up to `last`."""

    corpus: Corpus
    name: str
    first: int
    last: int
    threshold: float


def ngram_set(text: str, ngram: int) -> UInt64Array:
    """The hashes of the word n-grams of a text, each once, increasing."""
    return np.unique(ngram_hashes(hash_words(text), ngram))


def jaccard(left: UInt64Array, right: UInt64Array) -> float:
    """The Jaccard similarity of two sets given as strictly increasing arrays; 0 for two empty sets."""
    common = count_common(left, right)
    union = len(left) + len(right) - common
    return common / union if union else 0.0


def cut_ngrams(files: UnitFiles, unit: NgramUnit) -> Stats:
    """Writes the n-gram sets of a part's candidates end to end, and where each begins."""
    start, stop = (int(index) for index in unit.corpus.starts[unit.part_index : unit.part_index + 2])
    documents = np.load(files.scratch(DOCUMENTS))
    rows = documents[slice(*np.searchsorted(documents, [start, stop]))] - start
    lengths = []
    with files.create(_flat_path(unit.part_index)) as output, output.path.open("wb") as file:
        for text in read_texts(unit.artifact, unit.part, rows):
            ngrams = ngram_set(text, unit.ngram)
            file.write(ngrams.tobytes())
            lengths.append(len(ngrams))
        output.rows = len(rows)
    with files.create(_bounds_path(unit.part_index)) as output, output.path.open("wb") as file:
        np.save(file, np.cumsum([0, *lengths], dtype=np.int64))
    return {}


def verify_pairs(files: UnitFiles, unit: VerifyUnit) -> Stats:
    """Writes the pairs that reach the threshold with their similarity (`VERIFIED` records)."""
    pairs = np.load(files.scratch(PAIRS), mmap_mode="r")[unit.first : unit.last]
    sets = _NgramSets(files.scratch, unit.corpus)
    found = []
    for left, right in pairs.tolist():
        similarity = jaccard(sets.of(left), sets.of(right))
        if similarity >= unit.threshold:
            found.append((left, right, similarity))
    with files.create(f"scratch/{unit.name}.npy") as output, output.path.open("wb") as file:
        np.save(file, np.array(found, VERIFIED))
        output.rows = len(found)
    return {"verified_pairs": len(found)}


def verify_units(corpus: Corpus, num_pairs: int, threshold: float) -> list[VerifyUnit]:
    """Cuts the candidate pairs into units of `PAIRS_PER_UNIT`."""
    firsts = range(0, num_pairs, PAIRS_PER_UNIT)
    return [
        VerifyUnit(corpus, f"verified-{number:05d}", first, min(first + PAIRS_PER_UNIT, num_pairs), threshold)
        for number, first in enumerate(firsts)
    ]


class _NgramSets:
    """The n-gram sets of candidates by document index; files are mapped when first asked for."""

    def __init__(self, scratch: ReadScratch, corpus: Corpus) -> None:
        self._scratch = scratch
        self._starts = corpus.starts
        self._documents = np.load(scratch(DOCUMENTS))
        self._first_candidate = np.searchsorted(self._documents, self._starts)
        self._parts: dict[int, tuple[UInt64Array, Int64Array]] = {}

    def of(self, index: int) -> UInt64Array:
        part = int(np.searchsorted(self._starts, index, side="right")) - 1
        if part not in self._parts:
            flat = np.asarray(np.memmap(self._scratch(_flat_path(part)), np.uint64, mode="r"))
            self._parts[part] = flat, np.load(self._scratch(_bounds_path(part)))
        ngrams, bounds = self._parts[part]
        row = int(np.searchsorted(self._documents, index)) - int(self._first_candidate[part])
        return ngrams[bounds[row] : bounds[row + 1]]


def _flat_path(index: int) -> str:
    return f"scratch/ngrams-{index:05d}.bin"


def _bounds_path(index: int) -> str:
    return f"scratch/ngrams-{index:05d}.npy"
