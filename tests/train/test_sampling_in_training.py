"""Texts of the model in training are kept, and training is as without them."""

import json

import pytest
import torch

from pretrain.store import LocalStore
from tests.train.killing import train_here
from tests.train.test_stopping import SignalAt, Stopped
from tests.train.tiny_training import VOCAB_SIZE, make_context, make_init, make_pack

PROMPTS = {"sample_prompts": ["c d e", "m n"], "sample_tokens": 5}


def make_context_with_tokenizer(folder, **config):
    """The tiny model with a tokenizer of letters, so that there is something to read."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["<bos>", "<eos>", "<pad>", *(chr(ord("a") + n % 26) * (1 + n // 26) for n in range(VOCAB_SIZE - 3))]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    store = LocalStore(folder)
    init = make_init(
        store,
        files={
            "tokenizer.json": tokenizer.to_str(),
            "tokenizer_config.json": json.dumps(
                {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<bos>", "eos_token": "<eos>"}
            ),
        },
    )
    return make_context(store, make_pack(store), init, max_steps=12, **config)


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    context = make_context_with_tokenizer(tmp_path_factory.mktemp("sampled"), **PROMPTS, sample_every_steps=5)
    return context, train_here(context)


def test_there_is_a_text_for_each_prompt_and_time(sampled):
    context, stats = sampled
    lines = context.store.local_file("train/x/samples/train.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [(row["step"], row["prompt"]) for row in rows] == [(5, "c d e"), (5, "m n"), (10, "c d e"), (10, "m n")]
    assert all(row["text"] for row in rows)
    assert len({row["text"] for row in rows}) > 2
    assert {"samples/train.jsonl", "samples/final.jsonl"} < stats["files"].keys()


def test_the_model_is_the_same_without_them(sampled, tmp_path):
    stats = train_here(make_context_with_tokenizer(tmp_path))
    for name in ("data/model.safetensors", "metrics/train.jsonl"):
        assert stats["files"][name] == sampled[1]["files"][name]


def test_those_before_a_resume_are_kept(sampled, tmp_path):
    context = make_context_with_tokenizer(tmp_path, **PROMPTS, sample_every_steps=5)
    with pytest.raises(Stopped):
        train_here(context, [SignalAt("on_step_begin", 6)])
    assert train_here(context) == sampled[1]


def test_generators_and_mode_are_left_as_they_were(sampled):
    from transformers import AutoModelForCausalLM

    from pretrain.train.sampling import sample_rows
    from tests.train.killing import prepared

    context, _ = sampled
    model = AutoModelForCausalLM.from_pretrained(context.store.local_file("train/x/data")).train()
    state = torch.random.get_rng_state()
    with prepared(context) as job:
        first, second = sample_rows(job, model), sample_rows(job, model)
    assert first == second and model.training
    assert torch.equal(torch.random.get_rng_state(), state)
