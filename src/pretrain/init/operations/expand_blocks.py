"""Block expansion (LLaMA-Pro, arXiv 2401.02415, section 3.2): copies of layers that change nothing at first."""

from typing import Literal

from pydantic import Field

from pretrain.errors import RecipeError
from pretrain.init.operations.base import Applied, LayerOperation, Workbench, with_layers
from pretrain.init.plan import ModelPlan
from pretrain.init.tensors import Constant
from pretrain.modeling.parameters import LAYER_PREFIX

_OUTPUT_PROJECTIONS = ("self_attn.o_proj", "mlp.down_proj")


class ExpandBlocks(LayerOperation):
    """Adds copies of the last layer of each of `num_groups` equal groups, on top of the group.

    The output projections of a copy (`o_proj`, `down_proj`, with their biases) are zero, so that it adds exactly 0 to
    the residual stream: the logits are those of the model before. The paper's 32 layers in 8 groups become 40.
    """

    op: Literal["expand_blocks"] = "expand_blocks"
    num_groups: int = Field(ge=1, description="Groups of layers (the paper's N); divides the number of layers")
    num_copies: int = Field(default=1, ge=1, description="Copies on top of each group (the paper's P)")

    def layer_order(self, num_layers: int) -> list[int]:
        """Each group, then its last layer `num_copies` times more."""
        if num_layers % self.num_groups:
            raise RecipeError(
                f"expand_blocks.num_groups is {self.num_groups}, which does not divide the model's {num_layers} layers"
            )
        size = num_layers // self.num_groups
        order: list[int] = []
        for last in range(size - 1, num_layers, size):
            order += [*range(last - size + 1, last + 1), *[last] * self.num_copies]
        return order

    def apply(self, plan: ModelPlan, bench: Workbench) -> Applied:
        """The plan with the copies, their output projections zero; tells where they are."""
        order = self.layer_order(plan.shape.num_hidden_layers)
        added = [layer for layer, source in enumerate(order) if layer and source == order[layer - 1]]
        expanded = with_layers(plan, order)
        zeroed = tuple(f"{LAYER_PREFIX}{layer}.{name}." for layer in added for name in _OUTPUT_PROJECTIONS)
        tensors = {
            name: Constant(source.shape, 0.0) if name.startswith(zeroed) else source
            for name, source in expanded.tensors.items()
        }
        return Applied(ModelPlan(expanded.config, tensors, expanded.dtype), {"layers": order, "added": added})
