"""One matrix for embedding and output head, or two."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from pretrain.errors import RecipeError
from pretrain.init.operations.base import Applied, Operation, Workbench
from pretrain.init.plan import ModelPlan
from pretrain.modeling.parameters import EMBEDDING, LM_HEAD


class Tie(Operation):
    """One matrix becomes embedding and head (Press & Wolf 2017, arXiv 1608.05859); the other is left out."""

    op: Literal["tie"] = "tie"
    keep: Literal["embedding", "lm_head"] = Field(default="embedding", description="The matrix that becomes both")

    def config_after(self, config: Mapping[str, Any], vocab_size: int) -> dict[str, Any]:
        """The config with tied embeddings."""
        if config.get("tie_word_embeddings"):
            raise RecipeError("tie: the embeddings are tied already; leave the operation out")
        return {**config, "tie_word_embeddings": True}

    def apply(self, plan: ModelPlan, bench: Workbench) -> Applied:
        """The plan without a matrix of its own for the head."""
        config = self.config_after(plan.config, bench.ids.vocab_size)
        tensors = dict(plan.tensors)
        head = tensors.pop(LM_HEAD)
        if self.keep == "lm_head":
            tensors[EMBEDDING] = head
        return Applied(ModelPlan(config, tensors, plan.dtype), {"keep": self.keep})


class Untie(Operation):
    """The head gets a copy of the embedding, with storage of its own: the logits stay, both can learn alone."""

    op: Literal["untie"] = "untie"

    def config_after(self, config: Mapping[str, Any], vocab_size: int) -> dict[str, Any]:
        """The config with embeddings that are not tied."""
        if not config.get("tie_word_embeddings"):
            raise RecipeError("untie: the embeddings are not tied; leave the operation out")
        return {**config, "tie_word_embeddings": False}

    def apply(self, plan: ModelPlan, bench: Workbench) -> Applied:
        """The plan with the embedding as head too, read a second time when it is written."""
        config = self.config_after(plan.config, bench.ids.vocab_size)
        return Applied(ModelPlan(config, {**plan.tensors, LM_HEAD: plan.tensors[EMBEDDING]}, plan.dtype), {})
