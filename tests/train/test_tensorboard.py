"""Event files hold the rows of metrics, where the package tensorboard is installed (`pretrain[tensorboard]`)."""

import json

import pytest

from tests.train.killing import train_here
from tests.train.tiny_training import context_in

pytest.importorskip("tensorboard", reason="tensorboard is an extra; `pip install tensorboard` runs this test")


def test_every_row_of_metrics_is_a_point_of_a_curve(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    context = context_in(tmp_path / "store", max_steps=12)
    train_here(context, tensorboard_root=tmp_path / "events")
    events = EventAccumulator(str(tmp_path / "events" / "train" / "x"))
    events.Reload()
    lines = context.store.local_file("train/x/metrics/train.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    for name in ("loss", "grad_norm", "learning_rate", "tokens", "validation_loss", "bits_per_byte"):
        expected = [(row["step"], row[name]) for row in rows if name in row]
        found = [(point.step, point.value) for point in events.Scalars(f"train/{name}")]
        assert found == [(step, pytest.approx(value, rel=1e-6)) for step, value in expected]
    assert [point.step for point in events.Scalars("train/tokens_per_second")] == [3, 6, 9, 12]
