"""Texts of a model in training, which goes on as if they had not been asked for."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import distributed
from transformers import PreTrainedModel

from pretrain.modeling.folders import load_tokenizer
from pretrain.sampling import continue_text
from pretrain.train.job import TrainJob
from pretrain.train.sharding import is_sharded, release

TEMPERATURE = 0.7
TOP_K = 50


def sample_rows(job: TrainJob, model: PreTrainedModel) -> list[dict[str, Any]]:
    """What `model` goes on with after each of the recipe's prompts, as rows of `prompt` and `text`.

    Its mode and all generators are left as they were: the draws come from one of their own, seeded by the recipe.
    Where the model is sharded, all processes call it at once, and have the same rows.
    """
    tokenizer = load_tokenizer(job.init_folder)
    was_training = model.training
    model.train(False)
    rows = []
    with torch.random.fork_rng(), _agreed_logits(model):
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
    release(model)
    return rows


@contextlib.contextmanager
def _agreed_logits(model: PreTrainedModel) -> Iterator[None]:
    """Gives every process of a sharded model the first's logits: one that drew another token would wait for ever."""
    if not is_sharded(model):
        yield
        return
    hook = model.register_forward_hook(lambda _module, _inputs, output: distributed.broadcast(output.logits, 0))
    try:
        yield
    finally:
        hook.remove()
