"""What `pretrain plan` can say of a stage before anything runs: its size, its cost, its time.

A stage that has something to say has a module `pretrain.<stage>.estimate` with one function, and its name stands in
`_WITH_ESTIMATE` of `pretrain.dag`:

    def estimate(config: <Stage>Config, prospect: Prospect) -> Estimate

It is asked for every stage of the plan, also one that the store has (`prospect.is_cached`), builds, fetches and writes
nothing, and leaves out what it cannot know yet. What it returns is printed below the plan in its order, and is
`estimate: {name: {value, unit}}` of the stage in `pretrain plan --json`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrain.artifact import Artifact
from pretrain.external import ExternalInput
from pretrain.modeling.hardware import Hardware


@dataclass(frozen=True)
class Quantity:
    """One estimated value. `unit` is its unit in words; `bytes` are shown in powers of 1000."""

    value: int | float | str
    unit: str = ""

    def to_json(self) -> dict[str, Any]:
        """As in `pretrain plan --json`."""
        return {"value": self.value, "unit": self.unit}


Estimate = Mapping[str, Quantity]

_UNITS_OF_TIME = (("hours", 3600), ("minutes", 60), ("seconds", 1))


def duration(seconds: float, of_what: str, *, digits: int = 2) -> Quantity:
    """A time in the largest of hours, minutes and seconds of which it has two or more.

    Args:
        seconds: how long it is.
        of_what: follows the unit: `of one core`.
        digits: significant digits that are kept.
    """
    unit, size = next((pair for pair in _UNITS_OF_TIME if seconds >= 2 * pair[1]), _UNITS_OF_TIME[-1])
    return Quantity(float(f"{seconds / size:.{digits}g}"), f"{unit} {of_what}")


@dataclass(frozen=True)
class Prospect:
    """What an estimate may start from.

    Attributes:
        stage: the stage that is estimated.
        is_cached: whether the store has it, so that a run would not build it.
        recipe: the recipe as plain values, `recipe["train"]["max_steps"]`; a stage that is left out is None. Plain,
            since a stage knows no other's config model.
        recipe_folder: what relative paths in it are relative to.
        artifacts: by stage, those of this recipe that the store has whole.
        external: by stage, the outside content that each reads, with names and bytes (0 where not known).
        hardware: what the user means to train on, or None.
    """

    stage: str
    is_cached: bool
    recipe: Mapping[str, Any]
    recipe_folder: Path
    artifacts: Mapping[str, Artifact]
    external: Mapping[str, Sequence[ExternalInput]]
    hardware: Hardware | None = None
