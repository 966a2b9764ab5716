"""Texts of a model in training, which goes on as if they had not been asked for."""

from typing import Any

import torch
from transformers import PreTrainedModel

from pretrain.modeling.folders import load_tokenizer
from pretrain.sampling import continue_text
from pretrain.train.job import TrainJob

TEMPERATURE = 0.7
TOP_K = 50


def sample_rows(job: TrainJob, model: PreTrainedModel) -> list[dict[str, Any]]:
    """What `model` goes on with after each of the recipe's prompts, as rows of `prompt` and `text`.

    Its mode and all generators are left as they were: the draws come from one of their own, seeded by the recipe.
    """
    tokenizer = load_tokenizer(job.init_folder)
    was_training = model.training
    model.train(False)
    rows = []
    with torch.random.fork_rng():
        for prompt in job.config.sample_prompts:
            pieces = continue_text(
                model,
                tokenizer,
                prompt,
                max_new_tokens=job.config.sample_tokens,
                temperature=TEMPERATURE,
                top_k=TOP_K,
                seed=job.seed,
            )
            rows.append({"prompt": prompt, "text": "".join(pieces)})
    model.train(was_training)
    return rows
