import json

import pytest

from pretrain.train.record import StepFigures, TrainingRecord, ValidationFigures


def record_with_losses(losses: list[float], log_every_steps: int) -> TrainingRecord:
    record = TrainingRecord(max_steps=len(losses), log_every_steps=log_every_steps, tokens_per_step=100)
    for step, loss in enumerate(losses, start=1):
        record.add_step(step, StepFigures(loss=loss, grad_norm=step / 2, learning_rate=0.01))
    return record


def test_a_row_is_the_mean_loss_since_the_row_before():
    rows = record_with_losses([9.0, 6.0, 4.0, 3.0, 2.0, 2.5, 1.5], log_every_steps=3).rows
    assert [(row["step"], row["loss"]) for row in rows] == [(1, 9.0), (3, 5.0), (6, 2.5), (7, 1.5)]
    assert rows[2] == {"step": 6, "loss": 2.5, "grad_norm": 3.0, "learning_rate": 0.01, "tokens": 600}


def test_loss_final_is_the_mean_of_the_last_tenth_of_the_steps():
    record = record_with_losses([float(20 - step) for step in range(20)], log_every_steps=1)
    assert record.stats()["loss_first"] == 20.0
    assert record.stats()["loss_final"] == 1.5  # steps 19 and 20
    assert record.stats()["validation_loss"] is None


def test_validation_figures_are_the_first_and_the_last():
    record = record_with_losses([2.0], log_every_steps=1)
    record.rows.clear()
    record.add_validation(0, ValidationFigures(loss=4.0, bits_per_byte=2.5))
    record.add_step(1, StepFigures(3.0, 1.0, 0.01))
    record.add_validation(1, ValidationFigures(loss=3.5, bits_per_byte=2.0))
    stats = record.stats()
    assert (stats["validation_loss_first"], stats["validation_loss"]) == (4.0, 3.5)
    assert (stats["bits_per_byte_first"], stats["bits_per_byte"]) == (2.5, 2.0)


@pytest.mark.parametrize("saved_after", range(1, 7))
def test_a_record_saved_at_any_step_goes_on_to_the_same_bytes(tmp_path, saved_after):
    losses = [9.0, 6.1, 4.7, 3.3, 2.9, 2.5, 1.5]
    whole = record_with_losses(losses, log_every_steps=3)
    record = TrainingRecord(max_steps=7, log_every_steps=3, tokens_per_step=100)
    for step, loss in enumerate(losses, start=1):
        record.add_step(step, StepFigures(loss=loss, grad_norm=step / 2, learning_rate=0.01))
        if step == saved_after:
            record.save(tmp_path / "record.json")
            record = TrainingRecord.load(tmp_path / "record.json")
    whole.write_rows(tmp_path / "whole.jsonl")
    assert record.write_rows(tmp_path / "resumed.jsonl") == 4
    assert (tmp_path / "resumed.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert json.loads((tmp_path / "whole.jsonl").read_text().splitlines()[0])["loss"] == 9.0
