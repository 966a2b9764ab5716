"""The phases of the stage that only hand rows to each other: names of units, and which slices each of them reads."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pretrain.dedup.bands import BandScatterUnit, BandUnit, pair_buckets, scatter_bands
from pretrain.dedup.candidates import CandidateUnit, NgramUnit, candidate_ranges, cut_ngrams, merge_pairs
from pretrain.dedup.config import DedupConfig, MinHashConfig, SegmentsConfig
from pretrain.dedup.corpus import CorpusPart, Group, Layout, signature_path
from pretrain.dedup.exact import ExactGroupUnit, ExactScatterUnit, relate_exact, scatter_exact
from pretrain.dedup.repeats import (
    SEGMENT_BYTES,
    Edits,
    SegmentCountUnit,
    SegmentScatterUnit,
    count_segments,
    scatter_segments,
)
from pretrain.dedup.shuffle import Slice, slices
from pretrain.dedup.signatures import JoinUnit, SignatureUnit, join_pieces, sign_piece
from pretrain.dedup.verification import MAX_PAIRS_PER_UNIT, MIN_PAIRS_PER_UNIT, VerifyUnit, verify_pairs
from pretrain.dedup.words import WordsGroupUnit, WordsScatterUnit, group_words, scatter_words
from pretrain.stage import Receipt, StageContext, Stats, UnitFiles

P = TypeVar("P")

# Band keys of several partitions are paired by one unit, one partition after the other, where they are few.
_KEYS_PER_UNIT = 1 << 17
# Units of verification in a corpus of few pairs, so that workers share them.
_NUM_VERIFICATIONS = 16


@dataclass(frozen=True)
class Phases:
    """Runs phases over a corpus that is laid out."""

    context: StageContext[DedupConfig]
    layout: Layout

    def run(self, kind: str, payloads: list[P], function: Callable[[UnitFiles, P], Stats], label: str) -> list[Receipt]:
        """Runs the units of a phase; `kind` and the position name a unit."""
        units = [(self.layout.name(kind, number), payload) for number, payload in enumerate(payloads)]
        return self.context.run_units(units, function, label=label)

    def of_group(self, receipts: list[Receipt], group: Group) -> tuple[Slice, ...]:
        """The rows that units wrote about the documents of a group."""
        return slices(receipts, group.number)

    def relate_exact(self) -> list[Receipt]:
        """Finds exact duplicates."""
        layout, keep = self.layout, self.context.config.keep
        partitions = layout.num_partitions(layout.num_documents)
        scattered = self.run(
            "exact-scatter",
            [
                ExactScatterUnit(layout.name("exact-scatter", group.number), group, keep, partitions)
                for group in layout.groups
            ],
            scatter_exact,
            "groups of hashes scattered",
        )
        return self.run(
            "exact",
            [
                ExactGroupUnit(layout.name("exact", number), slices(scattered, number), keep, layout.starts)
                for number in range(partitions)
            ],
            relate_exact,
            "partitions of hashes",
        )

    def find_segments(self, exact: list[Receipt], config: SegmentsConfig, text_bytes: int) -> list[Receipt]:
        """Finds the segments to cut."""
        layout = self.layout
        partitions = layout.num_partitions(text_bytes // config.min_chars, SEGMENT_BYTES)
        units = [
            SegmentScatterUnit(
                layout.name("segments-scatter", part.number),
                part,
                self.of_group(exact, group),
                config,
                self.context.config.keep,
                partitions,
                layout.budget_bytes,
            )
            for group in layout.groups
            for part in group.parts
        ]
        scattered = self.run("segments-scatter", units, scatter_segments, "parts cut into segments")
        counts = [
            SegmentCountUnit(
                layout.name("segments", number), slices(scattered, number), config.max_documents, layout.starts
            )
            for number in range(partitions)
        ]
        return self.run("segments", counts, count_segments, "partitions of segments")

    def sign(self, exact: list[Receipt], edits: list[Receipt], config: MinHashConfig) -> list[Receipt]:
        """Signs the documents that are left."""
        units: list[tuple[str, SignatureUnit]] = []
        joins: list[tuple[str, JoinUnit]] = []
        for group, part in self.new_parts():
            name, path = f"minhash-{part.number:05d}", signature_path("minhash", part.number)
            relations, of_part = self.of_group(exact, group), self.edits(edits, group)
            pieces = self.layout.pieces(part)
            if len(pieces) == 1:
                units.append((name, SignatureUnit(pieces[0], path, relations, of_part, config)))
                continue
            names = [f"{name}-{piece.start}-{piece.stop}" for piece in pieces]
            paths = tuple(f"scratch/{each}.parquet" for each in names)
            units += [
                (each, SignatureUnit(piece, piece_path, relations, of_part, config))
                for each, piece, piece_path in zip(names, pieces, paths, strict=True)
            ]
            joins.append((name, JoinUnit(part, paths, config)))
        signed = self.context.run_units(units, sign_piece, label="pieces of parts signed")
        self.context.run_units(joins, join_pieces, label="parts signed")
        return signed

    def same_words(self) -> list[Receipt]:
        """Finds documents with the same words."""
        layout = self.layout
        partitions = layout.num_partitions(layout.num_documents)
        scattered = self.run(
            "words-scatter",
            [
                WordsScatterUnit(
                    layout.name("words-scatter", group.number), group, self.context.config.keep, partitions
                )
                for group in layout.groups
            ],
            scatter_words,
            "groups of words scattered",
        )
        units = [
            WordsGroupUnit(layout.name("words", number), slices(scattered, number), layout.starts)
            for number in range(partitions)
        ]
        return self.run("words", units, group_words, "partitions of words")

    def pair(self, same_words: list[Receipt], config: MinHashConfig) -> list[Receipt]:
        """Pairs documents that share a bucket of a band."""
        layout = self.layout
        partitions = layout.num_partitions(layout.num_documents)
        units = [
            BandScatterUnit(
                layout.name("bands-scatter", group.number),
                group,
                self.of_group(same_words, group),
                self.context.config.keep,
                config.bands,
                partitions,
            )
            for group in layout.groups
        ]
        scattered = self.run("bands-scatter", units, scatter_bands, "groups of band keys scattered")
        slots = [slices(scattered, number) for number in range(config.bands * partitions)]
        together = max(1, _KEYS_PER_UNIT * partitions // max(layout.num_documents, 1))
        pairs = [
            BandUnit(
                layout.name("bands", number),
                tuple(slots[first : first + together]),
                config.max_bucket_leaders,
                layout.starts,
                layout.budget_bytes,
            )
            for number, first in enumerate(range(0, len(slots), together))
        ]
        return self.run("bands", pairs, pair_buckets, "partitions of bands")

    def candidates(self, pairs: list[Receipt]) -> list[Receipt]:
        """Brings the pairs of all bands together, each once."""
        layout = self.layout
        units: list[CandidateUnit] = []
        for group in layout.groups:
            chosen = self.of_group(pairs, group)
            num_pairs = sum(each.last - each.first for each in chosen)
            if num_pairs:
                for first, last in candidate_ranges(group, num_pairs, layout.budget_bytes):
                    name = layout.name("candidates", len(units))
                    units.append(CandidateUnit(name, chosen, first, last, layout.starts))
        return self.run("candidates", units, merge_pairs, "ranges of candidates")

    def verify(self, candidates: list[Receipt], edits: list[Receipt], config: MinHashConfig) -> list[Receipt]:
        """Computes the similarity of the candidate pairs."""
        layout = self.layout
        pieces = [(group, piece) for group in layout.groups for part in group.parts for piece in layout.pieces(part)]
        ngrams = [
            NgramUnit(
                layout.name("ngram-pieces", number),
                piece,
                self.of_group(candidates, group),
                self.edits(edits, group),
                config,
            )
            for number, (group, piece) in enumerate(pieces)
        ]
        self.run("ngram-pieces", ngrams, cut_ngrams, "pieces of parts cut into n-grams")
        names = tuple(unit.name for unit in ngrams)
        num_pairs = sum(receipt.stats["candidate_pairs"] for receipt in candidates)
        most = min(MAX_PAIRS_PER_UNIT, max(MIN_PAIRS_PER_UNIT, -(-num_pairs // _NUM_VERIFICATIONS)))
        ranges = [
            Slice(f"{receipt.unit}-pairs", first, min(first + most, receipt.stats["candidate_pairs"]))
            for receipt in candidates
            for first in range(0, receipt.stats["candidate_pairs"], most)
        ]
        units = [
            VerifyUnit(
                layout.name(f"verified-{most}p", number),
                pairs,
                names,
                [piece.start for _, piece in pieces],
                layout.starts,
                config.verify == "jaccard",
                config.threshold,
                layout.budget_bytes,
            )
            for number, pairs in enumerate(ranges)
        ]
        return self.run(f"verified-{most}p", units, verify_pairs, "verifications")

    def edits(self, receipts: list[Receipt], group: Group) -> Edits | None:
        """What is cut from the texts of a group."""
        config = self.context.config.segments
        return Edits(config, self.of_group(receipts, group)) if config is not None else None

    def new_parts(self) -> list[tuple[Group, CorpusPart]]:
        """The parts of this run with their groups."""
        return [(group, part) for group in self.layout.groups for part in group.parts if not part.is_old]
