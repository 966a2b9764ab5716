"""SIGTERM: the step at work is finished and saved, wherever in it the signal comes, and a resume is exact."""

import os
import signal

import pytest
from transformers import TrainerCallback

from pretrain.errors import SubprocessError
from pretrain.train.listening import Listener
from pretrain.train.stopping import STOPPED_STATUS, Stopped
from tests.train.killing import checkpoints_of, expected_here, train_here, train_until
from tests.train.tiny_training import context_in

HOOKS = ["on_step_begin", "on_substep_end", "on_pre_optimizer_step", "on_optimizer_step", "on_step_end"]


class SignalAt(TrainerCallback):
    """Sends this process SIGTERM at a hook of the step after `step`."""

    def __init__(self, hook, step):
        self.step = step
        setattr(self, hook, self.fire)

    def fire(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("hook", HOOKS)
def test_in_every_window_of_a_step_a_resume_is_exact(trained, tmp_path, hook):
    context = context_in(tmp_path)
    with pytest.raises(Stopped) as stopped:
        train_here(context, [SignalAt(hook, 13)])
    # after step 13 its end is over, and the signal of a test's callback comes behind those of training
    assert stopped.value.step == 14
    assert checkpoints_of(context).steps() == [12, 14]
    assert train_here(context) == expected_here(trained)


def test_the_process_says_resume_me_and_its_parent_too(tmp_path):
    context = context_in(tmp_path, max_eval_sequences=0)
    events, status = train_until(context, lambda event: event["event"] == "checkpoint", signal.SIGTERM)
    assert status == STOPPED_STATUS == 75
    assert events[-1]["event"] == "stopped" and events[-1]["step"] == checkpoints_of(context).newest().step >= 4
    listener = Listener(lambda *news: None, 30, None)
    listener.hear(events[-1])
    assert type(listener.failure) is SubprocessError  # which a Prefect task tries again
    assert f"after step {events[-1]['step']} of 30" in str(listener.failure)


def test_a_signal_in_the_last_step_ends_nothing(trained, tmp_path):
    context = context_in(tmp_path)
    assert train_here(context, [SignalAt("on_step_begin", 29)]) == expected_here(trained)


@pytest.mark.slow
def test_loader_workers_outlive_a_signal_to_the_group_and_change_nothing(trained, tmp_path):
    context = context_in(tmp_path)
    for _ in range(2):
        _, status = train_until(
            context,
            lambda event: event["event"] == "step" and event["step"] % 9 == 0,
            signal.SIGTERM,
            num_loader_workers=2,
        )
        assert status == STOPPED_STATUS
    assert train_here(context, num_loader_workers=2) == expected_here(trained)
