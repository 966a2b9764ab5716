"""Threads spin long where each has a core, and less or not at all where other processes want some of them."""

import os
import subprocess
import sys

import pytest

from pretrain.runner import usable_cores
from pretrain.spinning import busy_cores, spin_count, spin_environment

BEFORE = """cpu  1000 0 500 4000 100 0 0 0 0 0
cpu0 500 0 250 2000 50 0 0 0 0 0
cpu1 500 0 250 2000 50 0 0 0 0 0
cpu10 0 0 0 5000 0 0 0 0 0 0
intr 12345
"""
# of 20 ticks each: cpu0 is busy all the time, cpu1 a quarter of it, and reads the disk for another; cpu10 idles
AFTER = """cpu  1000 0 500 4000 100 0 0 0 0 0
cpu0 515 2 253 2000 50 0 0 0 0 0
cpu1 505 0 250 2010 55 0 0 0 0 0
cpu10 0 0 0 5020 0 0 0 0 0 0
intr 12399
"""


@pytest.mark.parametrize(("cores", "busy"), [({0, 1, 10}, 1.25), ({0}, 1.0), ({1}, 0.25), ({10}, 0.0)])
def test_busy_cores_are_counted_among_those_that_may_be_used(cores, busy):
    assert busy_cores(BEFORE, AFTER, cores) == pytest.approx(busy)


def test_where_nothing_can_be_read_nothing_is_busy():
    assert busy_cores("", "", {0, 1}) == busy_cores(BEFORE, BEFORE, {0, 1}) == 0.0


@pytest.mark.parametrize(
    ("num_threads", "num_cores", "num_busy", "spins"),
    [
        (2, 2, 0.0, 20_000),
        (2, 2, 0.4, 20_000),
        (2, 2, 1.0, 2_000),
        (1, 2, 1.0, 20_000),
        (2, 2, 1.9, 0),
        (8, 64, 10.0, 20_000),
        (64, 64, 1.0, 2_000),
        (64, 64, 10.0, 0),
        (3, 2, 0.0, 2_000),
    ],
)
def test_threads_spin_the_less_the_more_cores_are_missing(num_threads, num_cores, num_busy, spins):
    assert spin_count(num_threads, num_cores, num_busy) == spins


def test_beside_processes_that_keep_every_core_busy_threads_do_not_spin(monkeypatch):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    cores = len(usable_cores())
    loop = "print('began', flush=True)\nwhile True: pass"
    others = [subprocess.Popen([sys.executable, "-c", loop], stdout=subprocess.PIPE) for _ in range(cores)]
    try:
        for other in others:
            other.stdout.readline()
        assert spin_environment(cores + 1) == {"GOMP_SPINCOUNT": "0"}
    finally:
        for other in others:
            other.kill()
            other.wait()
            other.stdout.close()


@pytest.mark.parametrize("name", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"])
def test_what_the_user_has_set_stays(monkeypatch, name):
    monkeypatch.setitem(os.environ, name, "7")
    assert spin_environment(64) == {}


def test_one_thread_waits_for_none():
    assert spin_environment(1) == {}
