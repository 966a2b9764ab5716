"""benchmarks/train.py as it is run on a GPU, with models small enough for a CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def benchmark(*options):
    command = [sys.executable, "-m", "benchmarks.train", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=dict(os.environ), check=False)


def test_all_three_are_measured_in_each_case():
    done = benchmark("gpu", "--tiny", "--steps", "6", "--runs", "1", "--threads", "1")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["measured"], row["model"], row["sequence_length"], row["batch_size"]) for row in rows] == [
        ("speed", "tiny", 64, 4),
        ("documents", "tiny", 64, 4),
        ("speed", "tiny", 128, 2),
        ("documents", "tiny", 128, 2),
    ]
    for row in rows[1::2]:
        assert row["tokens_per_second"].keys() == {"together", "sdpa", "varlen"}
        assert all(rate > 0 for rate in row["tokens_per_second"].values())
    for row in rows[::2]:
        assert row["tokens_per_second"].keys() == row["mfu"].keys() == {"pretrain", "loop", "trainer"}
        assert all(rate > 0 for rate in row["tokens_per_second"].values())
        assert row["device"] != "cpu" or set(row["mfu"].values()) == {None}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so():
    done = benchmark("gpu")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no CUDA device is visible. `--tiny` runs the same" in done.stderr


def test_a_case_that_is_none_is_refused():
    done = benchmark("gpu", "--tiny", "--sequence-length", "2048")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no such case" in done.stderr and "('tiny', 64, 4)" in done.stderr
