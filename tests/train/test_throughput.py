from pretrain.train import throughput
from pretrain.train.throughput import StepClock


def test_the_first_step_and_what_lies_between_steps_are_not_counted(monkeypatch):
    times = iter([100.0, 102.0, 110.0, 113.0])  # first step ends; +2 s; validation until 110; +3 s
    monkeypatch.setattr(throughput.time, "monotonic", lambda: next(times))
    clock = StepClock(tokens_per_step=1000)
    clock.end_step()
    assert clock.tokens_per_second is None
    clock.end_step()
    assert clock.take_rate() == 500.0
    clock.restart()
    clock.end_step()
    assert clock.take_rate() == 333.3
    assert clock.take_rate() is None
    assert clock.tokens_per_second == 400.0  # 2 steps in 5 s
