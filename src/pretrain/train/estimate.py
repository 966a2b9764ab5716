"""What `pretrain plan` says of training: the numbers that follow from the recipe's."""

from pretrain.estimates import Estimate, Prospect, Quantity
from pretrain.train.config import TrainConfig
from pretrain.train.horizon import horizon


def estimate(config: TrainConfig, prospect: Prospect) -> Estimate:
    """Steps, tokens, and the batch of a step.

    Returns:
        `steps, tokens, global_batch_tokens, gradient_accumulation_steps` (of one process).

    Raises:
        RecipeError: the recipe's numbers do not divide.
    """
    length = horizon(config, prospect.recipe["pack"]["sequence_length"])
    return {
        "steps": Quantity(length.steps),
        "tokens": Quantity(length.tokens, "tokens"),
        "global_batch_tokens": Quantity(length.tokens_per_step, f"tokens, {length.global_batch_size:,} sequences"),
        "gradient_accumulation_steps": Quantity(length.accumulation_steps(), "in one process"),
    }
