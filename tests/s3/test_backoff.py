"""How long is waited between two tries: longer and longer, never two machines alike, and never longer than allowed."""

import itertools
import threading
from statistics import mean
from types import SimpleNamespace
from typing import Any, NoReturn

import botocore.exceptions
import pytest

from pretrain import s3
from pretrain.errors import StoreError
from pretrain.s3 import LONGEST_PAUSE_SECONDS, PATIENCE_SECONDS, S3Objects

CAPS = (0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0)  # of the first tries: 0.1 s doubled each time, and no more than 10 s
NUM_MACHINES = 200


class Overloaded:
    """A client whose every request is told to come back later."""

    meta = SimpleNamespace(endpoint_url="http://overloaded")

    def __init__(self) -> None:
        self.num_requests = 0

    def get_object(self, **_: Any) -> NoReturn:
        self.num_requests += 1
        answer = {"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": 503}}
        raise botocore.exceptions.ClientError(answer, "GetObject")


class Clock:
    """Time that passes only by waiting, and what was waited."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def event(self) -> threading.Event:
        clock = self

        class Waiting(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                clock.pauses.append(timeout or 0.0)
                clock.now += timeout or 0.0
                return False

        return Waiting()


def pauses_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What one machine waits between its tries until its patience ends."""
    clock, client = Clock(), Overloaded()
    monkeypatch.setattr(s3, "time", clock)
    monkeypatch.setattr(s3, "threading", SimpleNamespace(Event=clock.event))
    objects = S3Objects("s3://bucket/prefix", client)
    objects.has_answered = True
    with pytest.raises(StoreError, match="SlowDown"):
        objects.read("a")
    assert client.num_requests == len(clock.pauses) + 1
    return clock.pauses


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    return [pauses_of_a_machine(monkeypatch) for _ in range(NUM_MACHINES)]


def test_the_pauses_grow_and_are_bounded(machines: list[list[float]]) -> None:
    for number, cap in enumerate(CAPS):
        waited = [pauses[number] for pauses in machines]
        assert max(waited) <= cap
        assert 0.4 * cap < mean(waited) < 0.6 * cap  # full jitter: anything from none to all of it
    assert max(itertools.chain(*machines)) <= LONGEST_PAUSE_SECONDS


def test_no_two_machines_come_back_at_the_same_moment(machines: list[list[float]]) -> None:
    assert len({pauses[0] for pauses in machines}) == NUM_MACHINES
    assert all(len(set(pauses)) == len(pauses) for pauses in machines)


def test_patience_is_used_up_and_not_exceeded(machines: list[list[float]]) -> None:
    assert all(PATIENCE_SECONDS - LONGEST_PAUSE_SECONDS <= sum(pauses) <= PATIENCE_SECONDS for pauses in machines)
    assert max(map(len, machines)) < 60  # one that is overloaded is asked every 5 s at the end
