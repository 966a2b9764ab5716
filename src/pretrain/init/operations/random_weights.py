"""All weights drawn anew."""

from typing import Literal

from pydantic import Field

from pretrain.init.operations.base import Applied, Operation, Workbench
from pretrain.init.plan import ModelPlan
from pretrain.init.start import Scheme, random_tensors


class RandomWeights(Operation):
    """Draws every weight of the model as it is at this point: of an architecture, or in the shape of a checkpoint.

    An `architecture` without this operation is drawn with scheme `hf`.
    """

    op: Literal["random"] = "random"
    scheme: Scheme = Field(
        default="hf",
        description="hf: Normal(0, std) for embeddings and matrices, as transformers does. scaled: with 1/sqrt(2 L) on "
        "o_proj and down_proj, L layers (GPT-2, Radford et al. 2019, section 2.3)",
    )
    std: float | None = Field(
        default=None, gt=0, le=1, description="Standard deviation; null is the config's initializer_range"
    )
    seed: int | None = Field(default=None, ge=0, description="null is the recipe's seed")

    def apply(self, plan: ModelPlan, bench: Workbench) -> Applied:
        """The plan with recipes for random weights in place of its tensors."""
        seed = bench.seed if self.seed is None else self.seed
        std = self.std or float(plan.config.get("initializer_range", 0.02))
        tensors = random_tensors(plan.config, self.scheme, std, seed)
        return Applied(ModelPlan(plan.config, tensors, plan.dtype), {"scheme": self.scheme, "std": std, "seed": seed})
