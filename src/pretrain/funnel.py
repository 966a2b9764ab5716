"""The funnel of a run: how many documents of each source were left after each stage, and what each reason took.

It is computed from the counts in run records, which are those of the manifests, so it needs no data and no rerun.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pretrain.dag import DOCUMENT_STAGES
from pretrain.errors import StageError
from pretrain.runs import StageRecord

# Drops documents only where the recipe mixes sources or keeps one shard; else it is no step.
_MIXING = "shard"


@dataclass(frozen=True)
class Step:
    """What one stage did to the documents of one source, or of all.

    Attributes:
        stage: the stage.
        documents_in: documents that came in; in `download`, records read.
        documents_out: documents left.
        dropped: documents that each reason took, the largest number first.
    """

    stage: str
    documents_in: int
    documents_out: int
    dropped: Mapping[str, int]


@dataclass(frozen=True)
class SourceFunnel:
    """One source, stage by stage; `source` is None for all sources together."""

    source: str | None
    steps: tuple[Step, ...]

    @property
    def num_records(self) -> int:
        """Records read before the first stage."""
        return self.steps[0].documents_in

    @property
    def num_left(self) -> int:
        """Documents left after the last stage."""
        return self.steps[-1].documents_out


@dataclass(frozen=True)
class Funnel:
    """All sources, the one with most records first, and their sum.

    `changed` has the documents changed and kept, by stage and reason. `sources` is empty for a run of an earlier
    version, whose stages did not count by source.
    """

    total: SourceFunnel
    sources: tuple[SourceFunnel, ...]
    changed: Mapping[str, Mapping[str, int]]

    def taken_from(self, stage: str, reason: str) -> dict[str, int]:
        """Documents that one reason took in one stage by source, the largest number first."""
        counts = Counter(
            {
                str(one.source): step.dropped.get(reason, 0)
                for one in self.sources
                for step in one.steps
                if step.stage == stage
            }
        )
        return dict((+counts).most_common())

    def to_json(self) -> dict[str, Any]:
        """As in `pretrain funnel --json`."""
        return {
            "stages": _steps_json(self.total),
            "sources": [{"source": one.source, "stages": _steps_json(one)} for one in self.sources],
            "changed": {stage: dict(reasons) for stage, reasons in self.changed.items()},
        }


def make_funnel(stages: Iterable[StageRecord]) -> Funnel | None:
    """The funnel of a run, or None when it did not get to its first documents.

    Args:
        stages: the stages of a run record.

    Raises:
        StageError: counts do not add up: documents in are not documents out and those dropped.
    """
    found = {record.stage: record.stats for record in stages}
    names = [stage for stage in DOCUMENT_STAGES if stage in found]
    if not names or names[0] != DOCUMENT_STAGES[0]:
        return None
    stats = {name: found[name] for name in names}
    if found.get(_MIXING, {}).get("documents_dropped"):
        stats[_MIXING] = _without_repeats(found[_MIXING])
        names.append(_MIXING)
    total = SourceFunnel(None, tuple(_total_step(name, stats[name]) for name in names))
    sources: list[SourceFunnel] = []
    if all("dropped_by_source" in counts for counts in stats.values()):
        sources = [_source_funnel(source, stats) for source in _sources(stats)]
        sources.sort(key=lambda one: (-one.num_records, str(one.source)))
    _require_conservation([total, *sources])
    _require_sum(total, sources)
    changed = {name: _largest_first(counts.get("changed_by_reason", {})) for name, counts in stats.items()}
    return Funnel(total, tuple(sources), {name: reasons for name, reasons in changed.items() if reasons})


def _without_repeats(stats: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of `shard` where a document that a mixture repeats counts once."""
    repeats = {source: counts["repeats"] for source, counts in stats["mixture"].items()}
    by_source = {source: rows - repeats.get(source, 0) for source, rows in stats["documents_by_source"].items()}
    num_kept = stats["documents_out"] - stats["documents_repeated"]
    return {**stats, "documents_out": num_kept, "documents_by_source": by_source}


def _total_step(stage: str, stats: Mapping[str, Any]) -> Step:
    dropped = _largest_first(stats.get("dropped_by_reason", {}))
    return Step(stage, stats["documents_in"], stats["documents_out"], dropped)


def _sources(stats: Mapping[str, Mapping[str, Any]]) -> list[str]:
    names = ("records_by_source", "documents_by_source", "dropped_by_source")
    return sorted({source for counts in stats.values() for name in names for source in counts.get(name, {})})


def _source_funnel(source: str, stats: Mapping[str, Mapping[str, Any]]) -> SourceFunnel:
    steps: list[Step] = []
    for stage, counts in stats.items():
        dropped = _largest_first(counts["dropped_by_source"].get(source, {}))
        num_in = steps[-1].documents_out if steps else counts["records_by_source"].get(source, 0)
        steps.append(Step(stage, num_in, counts["documents_by_source"].get(source, 0), dropped))
    return SourceFunnel(source, tuple(steps))


def _require_conservation(funnels: Sequence[SourceFunnel]) -> None:
    for one in funnels:
        before: Step | None = None
        for step in one.steps:
            num_dropped = sum(step.dropped.values())
            is_chained = before is None or before.documents_out == step.documents_in
            if not is_chained or step.documents_in != step.documents_out + num_dropped:
                came_in = before.documents_out if before is not None else step.documents_in
                raise StageError(
                    f"{step.stage} lost count of {one.source or 'the documents'}: {came_in:,} came in, but "
                    f"{step.documents_out:,} were kept and {num_dropped:,} dropped. This is a fault of pretrain: "
                    f"build the stage again with --refresh {step.stage}, and report it if it stays"
                )
            before = step


def _require_sum(total: SourceFunnel, sources: Sequence[SourceFunnel]) -> None:
    for index, step in enumerate(total.steps if sources else ()):
        num_kept = sum(one.steps[index].documents_out for one in sources)
        dropped = sum((Counter(one.steps[index].dropped) for one in sources), Counter())
        if num_kept != step.documents_out or dropped != +Counter(step.dropped):
            raise StageError(
                f"{step.stage} kept {step.documents_out:,} documents and dropped {sum(step.dropped.values()):,}, but "
                f"{num_kept:,} and {dropped.total():,} by source. This is a fault of pretrain: build the stage again "
                f"with --refresh {step.stage}, and report it if it stays"
            )


def _largest_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _steps_json(one: SourceFunnel) -> list[dict[str, Any]]:
    return [
        {
            "stage": step.stage,
            "documents_in": step.documents_in,
            "documents_out": step.documents_out,
            "dropped": dict(step.dropped),
        }
        for step in one.steps
    ]
