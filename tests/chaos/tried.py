"""Counts of what was tried, for a report."""

import collections
from dataclasses import dataclass, field


@dataclass
class Tried:
    """What chains did, for a report."""

    chains: int = 0
    kills: int = 0
    by_event: int = 0
    of_driver_alone: int = 0
    moves: int = 0
    hits: collections.Counter[str] = field(default_factory=collections.Counter)
    states: collections.Counter[str] = field(default_factory=collections.Counter)
    runs: int = 0
    resumes: list[int] = field(default_factory=list)
    artifacts: int = 0
    parts: int = 0
    bytes: int = 0
    leftovers: collections.Counter[str] = field(default_factory=collections.Counter)
    uploads: int = 0
    temporary: collections.Counter[str] = field(default_factory=collections.Counter)
    collected: collections.Counter[str] = field(default_factory=collections.Counter)
    seconds: float = 0.0

    def report(self) -> str:
        """All of it in words."""
        lines = [
            f"{self.kills} kills in {self.chains} chains, {self.runs} runs, {self.seconds:.0f} s; {self.by_event} at "
            f"an event, {self.of_driver_alone} of the driver alone, {self.moves} before a run on another machine",
            f"in stage: {_counts(self.hits)}",
            f"in the middle of: {_counts(self.states)}",
            f"trainings resumed: {sum(step > 0 for step in self.resumes)}, after steps "
            f"{', '.join(map(str, sorted(step for step in self.resumes if step)))}",
            f"compared: {self.artifacts} artifacts, {self.parts} parts, {self.bytes:,} bytes",
            f"left behind by kills: {_counts(self.leftovers) or 'nothing'}; unfinished uploads {self.uploads}",
            f"removed by gc, and nothing of it left: {_counts(self.collected)}",
            f"in the temporary folder: {_counts(self.temporary) or 'nothing'}",
        ]
        return "\n".join(lines)


def _counts(counter: collections.Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counter.most_common())
