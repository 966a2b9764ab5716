"""How two artifacts of one stage differ: in what they were made of, in their stats, and in what they hold."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pretrain.artifact import Artifact, Manifest
from pretrain.dag import DOCUMENT_STAGES
from pretrain.document_difference import DocumentDifferences, Named, differing_documents
from pretrain.errors import UsageError
from pretrain.planning import config_values, flat_values

_HOLDING_DOCUMENTS = (*DOCUMENT_STAGES, "shard")


@dataclass(frozen=True)
class ValueDifference:
    """A value by name: what each artifact has that has it (`values` holds `a`, `b` or both)."""

    name: str
    values: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """`{"name": ..., "a": ..., "b": ...}`, without the side that lacks it."""
        return {"name": self.name, **self.values}


@dataclass(frozen=True)
class PartDifferences:
    """Parts by path: of one artifact alone, of both with another sha256, and how many are equal."""

    only_in_a: list[str]
    only_in_b: list[str]
    other_content: list[str]
    num_equal: int

    def __bool__(self) -> bool:
        return bool(self.only_in_a or self.only_in_b or self.other_content)


@dataclass(frozen=True)
class VocabularyDifferences:
    """Entries of a tokenizer's vocabulary, in order of token id; `num_other_id` have another id in each."""

    only_in_a: Named[str]
    only_in_b: Named[str]
    num_other_id: int


@dataclass(frozen=True)
class Difference:
    """All that differs between artifacts `a` and `b`; documents of document stages, vocabulary of tokenizers."""

    a: str
    b: str
    config: list[ValueDifference]
    inputs: list[ValueDifference]
    stats: list[ValueDifference]
    parts: PartDifferences
    documents: DocumentDifferences | None
    vocabulary: VocabularyDifferences | None

    @property
    def is_equal(self) -> bool:
        """Whether nothing but provenance can differ."""
        return not (self.config or self.inputs or self.stats or self.parts)

    def to_json(self) -> dict[str, Any]:
        """As in `pretrain diff --json`."""
        return {
            "a": self.a,
            "b": self.b,
            "equal": self.is_equal,
            "config": [entry.to_json() for entry in self.config],
            "inputs": [entry.to_json() for entry in self.inputs],
            "stats": [entry.to_json() for entry in self.stats],
            "parts": asdict(self.parts),
            "documents": None if self.documents is None else asdict(self.documents),
            "vocabulary": None if self.vocabulary is None else asdict(self.vocabulary),
        }


def difference(a: Artifact, b: Artifact, limit: int) -> Difference:
    """Compares two artifacts of a stage.

    Args:
        a: an artifact.
        b: another.
        limit: how many documents or vocabulary entries of each kind are named.

    Raises:
        UsageError: they are of different stages.
        DamagedArtifactError: a part differs from the manifest.
    """
    if a.stage != b.stage:
        raise UsageError(f"{a.key} and {b.key} are of different stages: name two artifacts of one stage")
    return Difference(
        a.key,
        b.key,
        _differing(_made_by(a.manifest), _made_by(b.manifest)),
        _differing(*({entry.stage: entry.fingerprint for entry in each.manifest.inputs} for each in (a, b))),
        _differing(_stats(a.manifest), _stats(b.manifest)),
        _differing_parts(a, b),
        differing_documents(a, b, limit) if a.stage in _HOLDING_DOCUMENTS else None,
        _differing_vocabulary(a, b, limit) if a.stage == "tokenizer" else None,
    )


def _made_by(manifest: Manifest) -> dict[str, Any]:
    return {"stage version": manifest.stage_version, **config_values(manifest.stage, manifest.config)}


def _stats(manifest: Manifest) -> dict[str, Any]:
    leaves = (leaf for name, value in manifest.stats.items() for leaf in flat_values(name, value))
    return {path: leaf for path, leaf in leaves if leaf != {}}  # counts by reason, of which there are none


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[ValueDifference]:
    found = []
    for name in (*a, *(name for name in b if name not in a)):
        values = {side: each[name] for side, each in (("a", a), ("b", b)) if name in each}
        if len(values) < 2 or values["a"] != values["b"]:
            found.append(ValueDifference(name, values))
    return sorted(found, key=lambda each: each.name)


def _differing_parts(a: Artifact, b: Artifact) -> PartDifferences:
    of_a, of_b = ({part.path: part.sha256 for part in each.manifest.parts} for each in (a, b))
    both = sorted(of_a.keys() & of_b.keys())
    other = [path for path in both if of_a[path] != of_b[path]]
    return PartDifferences(
        sorted(of_a.keys() - of_b.keys()), sorted(of_b.keys() - of_a.keys()), other, len(both) - len(other)
    )


def _differing_vocabulary(a: Artifact, b: Artifact, limit: int) -> VocabularyDifferences:
    of_a, of_b = _vocabulary(a), _vocabulary(b)

    def alone(mine: dict[str, int], others: dict[str, int]) -> Named[str]:
        tokens = sorted(mine.keys() - others.keys(), key=lambda token: (mine[token], token))
        return Named(len(tokens), tokens[:limit])

    num_other_id = sum(of_a[token] != of_b[token] for token in of_a.keys() & of_b.keys())
    return VocabularyDifferences(alone(of_a, of_b), alone(of_b, of_a), num_other_id)


def _vocabulary(artifact: Artifact) -> dict[str, int]:
    from tokenizers import Tokenizer

    vocabulary: dict[str, int] = Tokenizer.from_file(str(artifact.open_part("data/tokenizer.json"))).get_vocab()
    return vocabulary
