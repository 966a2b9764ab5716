import dataclasses
import json
import re
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from pretrain.errors import InputError, StageError
from pretrain.sequences import TokenSequences
from pretrain.store import LocalStore
from pretrain.train.checkpoints import CheckpointFolder
from pretrain.train.samples import OrderedSamples
from pretrain.train.stage import build
from tests.train.tiny_training import NUM_SEQUENCES, make_context, make_init, make_pack, train


def test_stats_tell_how_training_went(trained):
    stats = trained.stats
    assert (stats["steps"], stats["tokens"], stats["parameters"]) == (30, 30 * 4 * 32, 22_688)
    assert 4.0 < stats["loss_first"] < 4.3  # ln 64 = 4.16
    assert stats["loss_final"] < 1.0
    assert 4.0 < stats["validation_loss_first"] < 4.3
    assert stats["validation_loss"] < 1.0
    # 61 tokens of 1, 2, 3, 4, 1, ... bytes: 2.5 on average
    assert stats["bits_per_byte"] == pytest.approx(stats["validation_loss"] / 0.6931 / 2.49, rel=0.02)
    assert stats["measured"]["tokens_per_second"] > 0
    assert (stats["measured"]["mfu"], stats["measured"]["num_threads"]) == (None, 1)


def test_the_manifest_has_the_speed_of_every_row(trained):
    speeds = trained.stats["measured"]["speed_by_step"]
    assert [speed["step"] for speed in speeds] == [1, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30]
    assert set(speeds[-1]) == {"step", "tokens_per_second", "step_seconds", "mfu", "memory_bytes"}
    assert 10**8 < speeds[-1]["memory_bytes"] <= trained.stats["measured"]["peak_memory_bytes"] < 10**10
    assert speeds[-1]["tokens_per_second"] == pytest.approx(4 * 32 / speeds[-1]["step_seconds"], rel=0.01)


def test_metrics_have_a_row_every_three_steps_and_nothing_from_a_clock(trained):
    rows = [json.loads(line) for line in trained.file("metrics/train.jsonl").read_text().splitlines()]
    steps = [row for row in rows if "loss" in row]
    assert [row["step"] for row in steps] == [1, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30]
    assert set(steps[0]) == {"step", "loss", "grad_norm", "learning_rate", "tokens"}
    assert [row["step"] for row in rows if "validation_loss" in row] == [0, 10, 20, 30]
    # linear: 3 steps of warm-up from 0, then to 0 at step 30
    assert steps[0]["learning_rate"] == 0.0
    assert [row["learning_rate"] for row in steps[1:3]] == pytest.approx([0.01 * 2 / 3, 0.01 * 25 / 27])
    assert steps[-1]["learning_rate"] == pytest.approx(0.01 / 27)


def test_the_artifact_is_a_plain_hugging_face_folder(trained):
    [receipt] = trained.context.receipts.values()
    assert [part.path for part in receipt.files] == [
        "data/config.json",
        "data/generation_config.json",
        "data/model.safetensors",
        "data/tokenizer.json",
        "metrics/train.jsonl",
    ]
    model = AutoModelForCausalLM.from_pretrained(trained.file("data"))
    assert model.config.use_cache is True and model.dtype == torch.float32
    assert trained.file("data/tokenizer.json").read_text() == '{"kept": "as it is"}'
    assert str(trained.context.store.root) not in trained.file("data/config.json").read_text()
    counted = model.generate(torch.tensor([[10, 11, 12]]), max_new_tokens=3, do_sample=False, pad_token_id=2)
    assert counted[0].tolist() == [10, 11, 12, 13, 14, 15]


def test_nothing_else_stays_in_the_store(trained):
    assert not trained.file("checkpoints").exists()
    assert list((trained.context.store.root / ".tmp").iterdir()) == []


def test_progress_names_step_loss_and_speed(trained):
    done, total, text = [news for news in trained.progress if "tokens/s" in news[2]][-1]
    assert (done, total) == (30, 30)
    assert text.startswith("step 30/30 loss 0.")


def test_a_finished_training_is_not_repeated(trained):
    def never(done, total, text):
        raise RuntimeError(f"trained again: {text}")

    assert build(dataclasses.replace(trained.context, progress=never, receipts={})) == trained.stats


def test_weights_are_those_of_a_loop_written_by_hand(tmp_path):
    store = LocalStore(tmp_path)
    init = make_init(store, attention_dropout=0.0)
    context = make_context(store, make_pack(store), init, max_steps=12, max_eval_sequences=0, weight_decay=0.1)
    build(context)
    model = AutoModelForCausalLM.from_pretrained(init.open_folder(), dtype=torch.float32)
    _train_by_hand(model, context)
    trained = AutoModelForCausalLM.from_pretrained(store.local_file("train/x/data"))
    for (name, expected), actual in zip(model.state_dict().items(), trained.state_dict().values(), strict=True):
        assert torch.allclose(actual, expected, rtol=0, atol=2e-6), name


def _train_by_hand(model, context) -> None:
    config = context.config
    samples = OrderedSamples(TokenSequences.from_artifact(context.inputs["pack"], "train"), 0, 10_000)
    decayed = [p for p in model.parameters() if p.dim() == 2]
    kept = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": kept, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8)
    for step in range(config.max_steps):
        rate = step / 3 if step < 3 else (config.max_steps - step) / (config.max_steps - 3)
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * rate
        tokens = torch.stack([torch.from_numpy(samples[4 * step + i]) for i in range(4)])  # one batch of 4
        logits = model(tokens, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def test_a_loss_that_is_not_finite_ends_training_before_the_step_and_keeps_the_checkpoint(tmp_path):
    store = LocalStore(tmp_path)
    context = make_context(
        store,
        make_pack(store),
        make_init(store),
        learning_rate=1e38,
        save_every_steps=1,
        max_eval_sequences=0,
    )
    with pytest.raises(StageError, match=r"before optimizer step (\d+) of 30: the loss is") as caught:
        build(context)
    stopped_before = int(str(caught.value).split("step ")[1].split()[0])
    newest = CheckpointFolder(Path(store.local_file("train/x/checkpoints")), 2).newest()
    assert newest is not None and newest.step == stopped_before - 1
    assert re.search(r"on training sequences \d+, \d+, \d+, \d+\. The step was not taken", str(caught.value))
    assert "Lower train.learning_rate" in str(caught.value)


@pytest.mark.parametrize(
    ("num_sequences", "model", "message"),
    [
        ({"train": 0, "validation": 8}, {}, "no training sequence of 32 tokens"),
        (NUM_SEQUENCES, {"vocab_size": 60}, "token ids up to 63, but the model's vocabulary has 60"),
        (
            NUM_SEQUENCES,
            {"max_position_embeddings": 16},
            "sequence_length is 32, but the model takes at most 16",
        ),
    ],
)
def test_data_that_does_not_fit_is_refused_before_anything_starts(tmp_path, num_sequences, model, message):
    store = LocalStore(tmp_path)
    with pytest.raises(InputError, match=message):
        build(make_context(store, make_pack(store, num_sequences), make_init(store, **model)))


@pytest.mark.slow
def test_bfloat16_and_gradient_checkpointing_train_as_well(tmp_path, trained):
    store = LocalStore(tmp_path)
    config = {"bf16": True, "gradient_checkpointing": True, "schedule": "cosine"}
    other = train(make_context(store, make_pack(store), make_init(store), **config))
    assert other.stats["loss_final"] == pytest.approx(trained.stats["loss_final"], abs=0.3)
    model = AutoModelForCausalLM.from_pretrained(other.file("data"))
    assert model.dtype == torch.float32  # master weights
