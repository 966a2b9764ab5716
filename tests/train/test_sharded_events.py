"""What happens to a training that processes share by FSDP2: kills, signals, spikes, infinite losses, texts."""

import json
import signal

import pytest

from pretrain.errors import StageError
from pretrain.train.stage import build
from tests.train import test_spikes
from tests.train.killing import checkpoints_of, expected_here, train_here, train_until
from tests.train.sharded import Share, train_together
from tests.train.test_processes import assert_same_losses
from tests.train.test_processes import context_in as context_without_dropout
from tests.train.test_sampling_in_training import PROMPTS, make_context_with_tokenizer
from tests.train.tiny_training import context_in, train

pytestmark = pytest.mark.slow

SHARED = {"PRETRAIN_NUM_PROCESSES": "2", "PRETRAIN_SHARDING": "fsdp", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def shared(monkeypatch):
    for name, value in SHARED.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """With dropout, which each process draws by itself."""
    context = context_in(tmp_path_factory.mktemp("undisturbed"), max_steps=14)
    [told] = train_together([Share(context)])
    return told.stats


@pytest.mark.parametrize("ranks", [[0], [1], [0, 1]])
def test_killed_in_a_save_training_goes_on_from_the_checkpoint_before_with_the_same_bytes(undisturbed, tmp_path, ranks):
    context = context_in(tmp_path, max_steps=14)
    assert train_together([Share(context)], kill={"ranks": ranks, "step": 8}) is None
    assert checkpoints_of(context).steps() == [4]
    [told] = train_together([Share(context)])
    assert told.processes[0]["places"][0] == [16, 17]  # step 5
    assert told.stats == undisturbed


def test_a_lost_share_of_the_optimizer_makes_a_checkpoint_damaged(undisturbed, tmp_path):
    context = context_in(tmp_path, max_steps=14)
    train_together([Share(context, stop_after=10)])
    (checkpoints_of(context).path_of(10) / "optimizer-00002-of-00002.safetensors").unlink()
    [told] = train_together([Share(context)])
    assert told.processes[1]["places"][0] == [34, 35]  # step 9
    assert told.stats == undisturbed


def test_a_request_to_stop_is_met_and_the_stage_goes_on_with_the_same_bytes(undisturbed, tmp_path, shared):
    context = context_in(tmp_path, max_steps=14)
    events, status = train_until(
        context, lambda event: event.get("step") == 6, signal.SIGTERM, num_processes=2, sharding="fsdp"
    )
    assert status == 75 and events[-1] == {"event": "stopped", "step": checkpoints_of(context).newest().step}
    trained = train(context)
    assert trained.progress[0][2] == f"resuming after step {events[-1]['step']}/14"
    assert expected_here(trained) == undisturbed
    [receipt] = trained.context.receipts.values()
    assert (receipt.stats["measured"]["num_processes"], receipt.stats["measured"]["sharding"]) == (2, "fsdp")


def test_texts_and_kept_models_are_those_of_one_process(tmp_path):
    def context(name):
        options = {"sample_every_steps": 5, "keep_best": True, "keep_every_steps": 5, "eval_every_steps": 3}
        return make_context_with_tokenizer(tmp_path / name, **PROMPTS, **options)

    there = train_here(context("alone"))
    [told] = train_together([Share(context("together"))])
    assert told.stats["files"].keys() == there["files"].keys()
    assert {"models/step-000005/model.safetensors", "models/step-000010/model.safetensors"} < there["files"].keys()
    # With dropout the two train differently, so that only the texts before the first step could be the same.
    rows = [
        json.loads(line)
        for line in context("together").store.local_file("train/x/samples/train.jsonl").read_text().splitlines()
    ]
    assert [(row["step"], row["prompt"]) for row in rows] == [(5, "c d e"), (5, "m n"), (10, "c d e"), (10, "m n")]


def test_texts_change_nothing_in_training(tmp_path):
    contexts = [
        make_context_with_tokenizer(tmp_path / "with", **PROMPTS, sample_every_steps=5),
        make_context_with_tokenizer(tmp_path / "without"),
    ]
    with_texts, without = (told.stats["files"] for told in train_together([Share(context) for context in contexts]))
    for name in ("data/model.safetensors", "metrics/train.jsonl"):
        assert with_texts[name] == without[name]


def test_a_leap_of_the_loss_takes_all_back(tmp_path):
    context, _ = test_spikes.context_in(tmp_path, spike_rollbacks=1)
    [told] = train_together([Share(context)])
    [row] = told.stats["rollbacks"]
    assert (row["step"], row["back_to_step"], row["sequences_skipped"]) == (14, 12, 8)


def test_a_loss_that_is_not_finite_ends_all_with_one_message(tmp_path, shared):
    context = context_without_dropout(tmp_path, learning_rate=1e30, warmup_steps=0, max_eval_sequences=0)
    with pytest.raises(StageError, match=r"stopped before optimizer step 2 .* on training sequences \d+"):
        build(context)


@pytest.mark.parametrize(
    ("config", "tolerance"),
    [
        # The weights of the layers' norms are rounded to bfloat16, which autocast leaves as they are.
        ({"bf16": True}, 2e-3),
        ({"gradient_checkpointing": True}, 1e-6),
        # Its iterations are in bfloat16, where a gradient's last bit grows.
        ({"optimizer": "muon"}, 1e-4),
        ({"is_tied": True}, 1e-6),
    ],
    ids=lambda value: str(*value) if isinstance(value, dict) else None,
)
def test_the_losses_are_those_of_one_process(tmp_path, config, tolerance):
    alone, together = (context_without_dropout(tmp_path / name, max_steps=12, **config) for name in ("a", "b"))
    train_here(alone)
    train_together([Share(together)])
    assert_same_losses(together, alone, tolerance)


def test_rows_that_do_not_divide_are_shared_out_and_go_on_in_another_number_of_processes(tmp_path):
    """64 rows, 32 and 16 among three: 22 + 22 + 20, 11 + 11 + 10, 6 + 6 + 4."""
    alone, together = (
        context_without_dropout(tmp_path / name, max_steps=12, gradient_accumulation_steps=6) for name in ("a", "b")
    )
    train_here(alone)
    train_together([Share(together, stop_after=5)], num_processes=3)
    train_together([Share(together, stop_after=9)], num_processes=2)
    train_together([Share(together)], num_processes=3)
    assert_same_losses(together, alone)


def test_what_fails_in_one_process_alone_is_told(tmp_path, monkeypatch):
    context = context_in(tmp_path, max_steps=8)
    train_here(context)
    for path in checkpoints_of(context).folder.glob("step-*/scheduler.pt"):
        path.unlink()
    monkeypatch.setenv("RANK", "1")  # one of the two that torchrun starts, and not the one that speaks
    events, status = train_until(context, lambda event: False, num_processes=2, sharding="fsdp")
    assert status == 1
    assert [(event["event"], event["error"]) for event in events] == [("failed", "StageError")]
