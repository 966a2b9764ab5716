import logging

import pytest

from pretrain.errors import SubprocessError
from pretrain.train.listening import Listener
from pretrain.train.tensorboard import EventFiles


@pytest.fixture
def heard():
    told = []
    listener = Listener(lambda *news: told.append(news), 100, None)

    def hear(event, **values):
        listener.hear({"event": event, **values})
        return told[-1] if told else None

    return hear


def step(number, rate, seconds):
    return {"step": number, "loss": 2.0, "tokens_per_second": rate, "step_seconds": seconds}


def test_a_step_is_told_with_loss_speed_and_time_left(heard):
    assert heard("step", **step(1, None, None)) == (1, 100, "step 1/100 loss 2.000")
    assert heard("step", **step(10, 812.4, 5.0)) == (10, 100, "step 10/100 loss 2.000 812 tokens/s, 0:07:30 left")
    assert heard("step", **step(20, 81240, 95.5))[2] == "step 20/100 loss 2.000 81.2k tokens/s, 2:07:20 left"
    assert heard("step", **step(100, 812.4, 5.0))[2] == "step 100/100 loss 2.000 812 tokens/s"


def test_spikes_and_samples_are_logged(heard, caplog):
    caplog.set_level(logging.INFO, "pretrain.train")
    heard("spike", message="the loss of step 7 is 9", goes_back=True)
    heard("samples", step=5, samples=[{"prompt": "once", "text": " upon"}])
    assert caplog.messages == [
        "the loss of step 7 is 9: training goes back and skips what it saw since",
        "step 5: 'once' goes on: ' upon'",
    ]


def test_a_failure_is_the_error_that_the_child_had():
    listener = Listener(lambda *news: None, 100, None)
    listener.hear({"event": "failed", "error": "StoreFullError", "message": "no space"})
    assert type(listener.failure).__name__ == "StoreFullError"
    listener.hear({"event": "stopped", "step": 12})
    assert type(listener.failure) is SubprocessError
    assert str(listener.failure).startswith("training was asked to stop (SIGTERM), and did so after step 12 of 100")


def test_event_files_hold_each_number_as_a_curve(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    files = EventFiles(tmp_path)
    for number in (1, 2):
        files.add({"step": number, "loss": 3.0 - number, "mfu": None})
    files.close()
    read = accumulator.EventAccumulator(str(tmp_path))
    read.Reload()
    assert read.Tags()["scalars"] == ["train/loss"]
    assert [(event.step, event.value) for event in read.Scalars("train/loss")] == [(1, 2.0), (2, 1.0)]


def test_no_folder_writes_nothing_and_needs_no_package():
    files = EventFiles(None)
    files.add({"step": 1, "loss": 2.0})
    files.close()
