"""One run as asked for: which recipe, against which store, how far and with how many workers.

It is small and plain, so that it is a flow's parameter: shown and edited in the Prefect UI, sent to a worker.
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pretrain.dag import NODES, node, stages_of
from pretrain.errors import UsageError
from pretrain.pipeline import Pipeline
from pretrain.recipe import Recipe, load_recipe, parse_recipe
from pretrain.runner import LocalRunner
from pretrain.store import open_store

_STAGES = [node.name for node in NODES]


class RunSpec(BaseModel):
    """What to run. Only `recipe` and `overrides` bear on results."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str = Field(default="recipes/demo.yaml", description="Path of the recipe (YAML)")
    store: str = Field(default="./store", description="Local folder or s3://bucket/prefix")
    overrides: list[str] = Field(default=[], description="stage.key=value, applied to the recipe")
    until: str | None = Field(default=None, description="Last stage wanted; null runs the whole DAG")
    refresh: list[str] = Field(default=[], description="Stages to build although the store has them")
    workers: int | None = Field(default=None, ge=1, description="Worker processes; null takes every core")
    run_id: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9][\w.-]*$", description="Id for the run record; null makes one"
    )
    planned: dict[str, str] | None = Field(
        default=None, description="Fingerprints by stage when the run began; filled in by the flow"
    )
    values: dict[str, Any] | None = Field(
        default=None, description="The recipe as read when the run began; filled in by the flow"
    )

    def resolved(self) -> "RunSpec":
        """This spec with the recipe's values and absolute paths in it.

        What follows sees one recipe, also when the file is edited meanwhile.

        Raises:
            RecipeError: the recipe is not valid.
            UsageError: a stage that the recipe does not have was named.
        """
        if self.values is not None:
            return self
        recipe = load_recipe(Path(self.recipe), self.overrides)
        for option, stages in (("--until", [self.until] if self.until else []), ("--refresh", self.refresh)):
            for stage in stages:
                if stage not in stages_of(recipe):
                    raise UsageError(
                        f"{option} {stage}: not a stage of this recipe; it has {', '.join(stages_of(recipe))}"
                    )
        values = recipe.model_dump(mode="json", by_alias=True)
        return self.model_copy(
            update={
                "values": values,
                "recipe": str(Path(self.recipe).absolute()),
                "store": _absolute(self.store),
            }
        )

    def load(self) -> Recipe:
        """The recipe of this run."""
        values = self.resolved().values
        return parse_recipe(values or {}, self.recipe)

    def pipeline(self) -> Pipeline:
        """The recipe against the store."""
        folder = Path(self.recipe).absolute().parent
        store = open_store(_absolute(self.store))
        return Pipeline(self.load(), folder, store, run_id=self.run_id, expected=self.planned)

    def runner(self) -> LocalRunner:
        """Where units are processed."""
        return LocalRunner(self.workers)

    def wants(self, stage: str) -> bool:
        """Whether the run has `stage`: the recipe names it, and `until` does not end the run before it."""
        return stage in stages_of(self.load(), self.until)

    def needs(self, stage: str, upstream: str) -> bool:
        """Whether `stage` reads the artifact of `upstream` under this recipe."""
        return upstream in node(stage).inputs(self.load()).values()


def _absolute(store: str) -> str:
    return store if "://" in store else str(Path(store).expanduser().absolute())
