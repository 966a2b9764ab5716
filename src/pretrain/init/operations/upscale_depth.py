"""Depth up-scaling (SOLAR 10.7B, arXiv 2312.15166, section 2): two overlapping copies, stacked."""

from typing import Literal

from pydantic import Field

from pretrain.errors import RecipeError
from pretrain.init.operations.base import LayerOperation


class UpscaleDepth(LayerOperation):
    """Stacks the model without its last `overlap` layers on the model without its first `overlap` layers.

    n layers become 2 (n - overlap): SOLAR's 32 with overlap 8 become 48, the course's 12 with overlap 4
    become 16.
    """

    op: Literal["upscale_depth"] = "upscale_depth"
    overlap: int = Field(ge=0, description="Layers left out of each copy (the paper's m), below the model's layers")

    def layer_order(self, num_layers: int) -> list[int]:
        """0 to n - overlap - 1, then overlap to n - 1."""
        if self.overlap >= num_layers:
            raise RecipeError(
                f"upscale_depth.overlap is {self.overlap}, but the model has {num_layers} layers: "
                f"give 0 to {num_layers - 1}"
            )
        return [*range(num_layers - self.overlap), *range(self.overlap, num_layers)]
