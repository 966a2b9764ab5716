"""Another tokenizer: the rows of kept tokens are copied, those of new ones made from the old."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from pretrain.errors import InputError
from pretrain.init.operations.base import Applied, Operation, Workbench
from pretrain.init.plan import ModelPlan
from pretrain.init.tensors import MixedRows, RowOrigins
from pretrain.modeling.parameters import EMBEDDING, LM_HEAD


class ResizeVocab(Operation):
    """Moves a checkpoint to the recipe's tokenizer, in the embedding and in the head.

    A token of the same name in both vocabularies keeps its row, bit by bit; so do the tokens that begin and end a
    document and that pad, whatever they are called. `mean` gives every other token the mean of all old rows (Hewitt
    2021, "Initializing New Word Embeddings"), `pieces` the mean of the rows of the old tokens that spell its text
    (Gee et al. 2022, Fast Vocabulary Transfer, section 3); where there is no such text, the mean of all.
    """

    op: Literal["resize_vocab"] = "resize_vocab"
    new_tokens: Literal["mean", "pieces"] = Field(default="pieces", description="What the rows of new tokens are")

    def config_after(self, config: Mapping[str, Any], vocab_size: int) -> dict[str, Any]:
        """The config with the tokenizer's vocabulary."""
        return {**config, "vocab_size": vocab_size}

    def apply(self, plan: ModelPlan, bench: Workbench) -> Applied:
        """The plan with rows for every token of the recipe's tokenizer.

        Raises:
            InputError: the checkpoint has no tokenizer, or one that cannot be used.
        """
        if bench.source_tokenizer_folder is None:
            raise InputError(
                "init.operations: resize_vocab reads the checkpoint's own tokenizer, and its folder has no "
                "tokenizer.json: save the tokenizer beside the weights"
            )
        from pretrain.init.vocabulary import match_vocabularies

        matched = match_vocabularies(
            bench.source_tokenizer_folder,
            bench.tokenizer_folder,
            num_old_rows=plan.shape.vocab_size,
            with_pieces=self.new_tokens == "pieces",
        )
        origins = RowOrigins.of(matched.origins)
        tensors = dict(plan.tensors)
        for name in (EMBEDDING, LM_HEAD):
            if name in tensors:
                tensors[name] = MixedRows(tensors[name], origins)
        config = self.config_after(plan.config, bench.ids.vocab_size)
        return Applied(ModelPlan(config, tensors, plan.dtype), matched.counts())
