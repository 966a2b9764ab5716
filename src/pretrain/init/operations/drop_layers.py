"""Depth pruning: some layers are left out (the course's downscale; Shortened LLaMA, arXiv 2402.02834)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pretrain.errors import RecipeError
from pretrain.init.operations.base import LayerOperation


class DropLayers(LayerOperation):
    """Drops layers by index, or a number of them by strategy.

    `middle` drops the central ones: 2 of 12 are layers 5 and 6. Where the centre falls between layers, the
    lower run is dropped.
    """

    op: Literal["drop_layers"] = "drop_layers"
    layers: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(
        default=None, min_length=1, description="Indices of the layers to drop, from 0 at the bottom"
    )
    num_layers: int | None = Field(default=None, ge=1, description="Or: how many to drop by `strategy`")
    strategy: Literal["first", "middle", "last"] | None = Field(
        default=None, description="Which run of layers `num_layers` drops; null is middle"
    )

    @model_validator(mode="after")
    def _one_way(self) -> "DropLayers":
        if (self.layers is None) == (self.num_layers is None):
            raise ValueError("give exactly one of `layers` (indices) and `num_layers` (with a strategy)")
        if self.layers is not None and self.strategy is not None:
            raise ValueError(f"strategy {self.strategy!r} goes with `num_layers`, not with `layers`")
        if self.layers is not None and len(set(self.layers)) != len(self.layers):
            raise ValueError(f"layers {list(self.layers)} names a layer twice")
        return self

    def layer_order(self, num_layers: int) -> list[int]:
        """The layers that are kept."""
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
        count = self.num_layers or 0
        if count >= num_layers:
            raise RecipeError(
                f"drop_layers.num_layers is {count}, but the model has {num_layers} layers: drop 1 to {num_layers - 1}"
            )
        strategy = self.strategy or "middle"
        first = {"first": 0, "middle": (num_layers - count) // 2, "last": num_layers - count}[strategy]
        return set(range(first, first + count))
