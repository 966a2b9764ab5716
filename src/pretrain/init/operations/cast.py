"""The dtype of the weights."""

from typing import Literal

from pydantic import Field

from pretrain.init.operations.base import Applied, Operation, Workbench
from pretrain.init.plan import ModelPlan
from pretrain.init.tensors import Rounded


class Cast(Operation):
    """Rounds every weight to a dtype, which is that of the saved weights unless a later operation casts again.

    A later cast to float32 keeps what was lost here.
    """

    op: Literal["cast"] = "cast"
    dtype: Literal["float32", "bfloat16"] = Field(description="Of the weights from here on")

    def apply(self, plan: ModelPlan, bench: Workbench) -> Applied:
        """The plan with every tensor rounded."""
        tensors = {name: Rounded(source, self.dtype) for name, source in plan.tensors.items()}
        return Applied(ModelPlan(plan.config, tensors, self.dtype), {"dtype": self.dtype})
