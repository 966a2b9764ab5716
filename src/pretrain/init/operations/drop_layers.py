"""Depth pruning: some layers are left out (the course's downscale; Shortened LLaMA, arXiv 2402.02834)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pretrain.errors import RecipeError
from pretrain.init.operations.base import Applied, LayerOperation, Workbench, with_layers
from pretrain.init.plan import ModelPlan

# Influences that differ by less are equal: devices and thread counts sum in another order.
_INFLUENCE_DIGITS = 6
_NUM_SEQUENCES = 32


class DropLayers(LayerOperation):
    """Drops layers by index, or a number of them by strategy.

    `first`, `last`: that run. `middle`: the central ones, 2 of 12 are layers 5 and 6; where the centre falls between
    layers, the lower run is dropped. `uniform`: evenly spaced, one from the middle of each of as many equal pieces, 4
    of 12 are 1, 4, 7 and 10. `block_influence`: those that change the hidden state least (ShortGPT, arXiv 2403.03853,
    section 3.2: one minus the mean cosine of a layer's input and output), of equals the lower; it reads validation
    sequences, so that `pack` is an input of init.
    """

    op: Literal["drop_layers"] = "drop_layers"
    layers: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(
        default=None, min_length=1, description="Indices of the layers to drop, from 0 at the bottom"
    )
    num_layers: int | None = Field(default=None, ge=1, description="Or: how many to drop by `strategy`")
    strategy: Literal["first", "middle", "last", "uniform", "block_influence"] | None = Field(
        default=None, description="Which ones `num_layers` drops; null is middle"
    )
    num_sequences: int | None = Field(
        default=None,
        ge=1,
        description="Validation sequences that block_influence is measured on, the first of the split; null is 32",
    )

    @model_validator(mode="after")
    def _one_way(self) -> "DropLayers":
        if (self.layers is None) == (self.num_layers is None):
            raise ValueError("give exactly one of `layers` (indices) and `num_layers` (with a strategy)")
        if self.layers is not None and self.strategy is not None:
            raise ValueError(f"strategy {self.strategy!r} goes with `num_layers`, not with `layers`")
        if self.layers is not None and len(set(self.layers)) != len(self.layers):
            raise ValueError(f"layers {list(self.layers)} names a layer twice")
        if self.num_sequences is not None and self.strategy != "block_influence":
            raise ValueError("num_sequences goes with strategy 'block_influence', which alone measures")
        return self

    @property
    def needs_pack(self) -> bool:
        """Whether the strategy is measured."""
        return self.strategy == "block_influence"

    def num_layers_after(self, num_layers: int) -> int:
        """How many are kept, whichever they are."""
        if self.layers is not None:
            return len(self.layer_order(num_layers))
        return num_layers - self._count(num_layers)

    def apply(self, plan: ModelPlan, bench: Workbench) -> Applied:
        """The plan without the dropped layers; tells which those are, and what was measured."""
        num_layers = plan.shape.num_hidden_layers
        facts = {}
        if self.needs_pack:
            count = self._count(num_layers)
            measured = bench.block_influence(plan, self.num_sequences or _NUM_SEQUENCES)
            facts["block_influence"] = influence = [round(value, _INFLUENCE_DIGITS) for value in measured]
            dropped = set(sorted(range(num_layers), key=lambda layer: (influence[layer], layer))[:count])
            order = [layer for layer in range(num_layers) if layer not in dropped]
        else:
            order = self.layer_order(num_layers)
        gone = [layer for layer in range(num_layers) if layer not in order]
        return Applied(with_layers(plan, order), {"dropped": gone, **facts})

    def layer_order(self, num_layers: int) -> list[int]:
        """The layers that are kept, but for block_influence, which is measured."""
        dropped = self._dropped(num_layers)
        kept = [layer for layer in range(num_layers) if layer not in dropped]
        if not kept:
            raise RecipeError(f"drop_layers would drop all {num_layers} layers; keep at least one")
        return kept

    def _dropped(self, num_layers: int) -> set[int]:
        if self.layers is not None:
            outside = [layer for layer in self.layers if layer >= num_layers]
            if outside:
                raise RecipeError(
                    f"drop_layers.layers has {outside[0]}, but the model has layers 0 to {num_layers - 1}"
                )
            return set(self.layers)
        count = self._count(num_layers)
        if self.strategy == "uniform":
            return {(2 * index + 1) * num_layers // (2 * count) for index in range(count)}
        first = {"first": 0, "middle": (num_layers - count) // 2, "last": num_layers - count}
        start = first[self.strategy or "middle"]
        return set(range(start, start + count))

    def _count(self, num_layers: int) -> int:
        count = self.num_layers or 0
        if count >= num_layers:
            raise RecipeError(
                f"drop_layers.num_layers is {count}, but the model has {num_layers} layers: drop 1 to {num_layers - 1}"
            )
        return count
