"""The DAG as data: what each stage reads of the recipe, of upstream artifacts and of the outside.

The flow says in which order tasks run; this table says what identifies their results. `pretrain plan`, the Prefect
tasks and Python callers all take a stage from here, so there is one truth about fingerprints.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pretrain.artifact import Artifact
from pretrain.config import Config
from pretrain.estimates import Estimate, Prospect
from pretrain.external import ExternalInput, Surroundings
from pretrain.recipe import Recipe
from pretrain.stage import StageContext, Stats

# The chain of document stages; an optional one that the recipe leaves out is stepped over.
DOCUMENT_STAGES = ("download", "filter", "dedup", "language", "decontaminate")


@dataclass(frozen=True)
class Node:
    """One stage of the DAG.

    Attributes:
        name: the stage; also its key in the recipe, its folder in the store and its package.
        inputs: upstream stages by the role that the stage knows them under.
        reads_seed: whether `recipe.seed` takes part in the fingerprint.
        has_external: whether `pretrain.<name>.inputs.external_inputs` finds outside content.
    """

    name: str
    inputs: Callable[[Recipe], Mapping[str, str]]
    reads_seed: bool = False
    has_external: bool = False

    @property
    def version(self) -> int:
        """The stage's hand-written version."""
        return int(import_module(f"pretrain.{self.name}.config").VERSION)

    def config(self, recipe: Recipe) -> Config:
        """The stage's own part of the recipe, with what it takes from another."""
        return recipe.config_of(self.name)

    def identity(self, recipe: Recipe) -> dict[str, Any]:
        """What of the recipe takes part in the fingerprint: the config without locations, and the seed if read."""
        identity = self.config(recipe).identity()
        return {**identity, "seed": recipe.seed} if self.reads_seed else identity

    def external(self, recipe: Recipe, around: Surroundings) -> list[ExternalInput]:
        """The outside content that the stage reads, with the identity of its bytes."""
        if not self.has_external:
            return []
        found: list[ExternalInput] = import_module(f"pretrain.{self.name}.inputs").external_inputs(
            self.config(recipe), around
        )
        return found

    def build(self, context: StageContext[Any]) -> Stats:
        """Computes the stage; its libraries are imported only now."""
        stats: Stats = import_module(f"pretrain.{self.name}.stage").build(context)
        return stats


def _after(stage: str) -> Callable[[Recipe], Mapping[str, str]]:
    """The last document stage before `stage` that the recipe has, in the role `documents`."""
    earlier = DOCUMENT_STAGES[: DOCUMENT_STAGES.index(stage)] if stage in DOCUMENT_STAGES else DOCUMENT_STAGES

    def inputs(recipe: Recipe) -> Mapping[str, str]:
        return {"documents": [name for name in earlier if getattr(recipe, name) is not None][-1]}

    return inputs


def _of(**roles: str) -> Callable[[Recipe], Mapping[str, str]]:
    return lambda recipe: roles


def _shard_inputs(recipe: Recipe) -> Mapping[str, str]:
    """The last document stage, and the dedup stage for its clusters where that is an earlier one."""
    inputs = _after("shard")(recipe)
    return inputs if recipe.dedup is None or "dedup" in inputs.values() else {**inputs, "clusters": "dedup"}


def _init_inputs(recipe: Recipe) -> Mapping[str, str]:
    """The tokenizer, and pack where something is measured on validation sequences: else the two run side by side."""
    return {"tokenizer": "tokenizer", **({"pack": "pack"} if recipe.init.needs_pack else {})}


def _eval_inputs(recipe: Recipe) -> Mapping[str, str]:
    baselines = recipe.eval.baselines if recipe.eval is not None else ()
    return {"shard": "shard", "train": "train", **{name: name for name in baselines}}


NODES = (
    Node("download", _of(), has_external=True),
    Node("filter", _after("filter"), has_external=True),
    Node("dedup", _after("dedup")),
    Node("language", _after("language"), has_external=True),
    Node("decontaminate", _after("decontaminate"), has_external=True),
    Node("shard", _shard_inputs, reads_seed=True),
    Node("tokenizer", _of(shard="shard"), has_external=True),
    Node("pack", _of(shard="shard", tokenizer="tokenizer")),
    Node("init", _init_inputs, reads_seed=True, has_external=True),
    Node("train", _of(pack="pack", init="init"), reads_seed=True),
    Node("eval", _eval_inputs, reads_seed=True, has_external=True),
)
_WITH_VIEW = ("dedup", "pack", "init", "tokenizer")
_WITH_ESTIMATE = ("dedup", "init", "train")
_BY_NAME = {node.name: node for node in NODES}


def node(stage: str) -> Node:
    """The node of a stage."""
    return _BY_NAME[stage]


def views(artifact: Artifact) -> Iterator[tuple[str, list[str]]]:
    """What `pretrain.<stage>.view` shows people of an artifact beside its numbers: titles, each with its lines."""
    if artifact.stage in _WITH_VIEW:
        yield from import_module(f"pretrain.{artifact.stage}.view").view(artifact)


def estimate(recipe: Recipe, prospect: Prospect) -> Estimate:
    """What `pretrain.<stage>.estimate` can say before anything runs; empty for a stage that has none."""
    if prospect.stage not in _WITH_ESTIMATE:
        return {}
    found: Estimate = import_module(f"pretrain.{prospect.stage}.estimate").estimate(
        _BY_NAME[prospect.stage].config(recipe), prospect
    )
    return found


def stages_of(recipe: Recipe, until: str | None = None) -> list[str]:
    """The stages that a run of the recipe has, in an order in which every input comes first.

    Args:
        recipe: the recipe.
        until: the last stage wanted: it and what it needs.
    """
    present = [node.name for node in NODES if getattr(recipe, node.name) is not None]
    if until is None:
        return present
    needed = {until}
    for name in reversed(present):
        if name in needed:
            needed.update(_BY_NAME[name].inputs(recipe).values())
    return [name for name in present if name in needed]
