"""The memory limit over a corpus several times as large, measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dedup.memory_run import LIMIT_BYTES


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_corpus_of_three_times_the_limit_stays_within_it(tmp_path):
    text_bytes = 3 * LIMIT_BYTES // 100_000_000 * 100_000_000 + 100_000_000
    program = [sys.executable, "-m", "tests.dedup.memory_run", str(tmp_path), str(text_bytes), "1000"]
    ended = subprocess.run(program, check=True, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    measured = json.loads(ended.stdout)
    print(measured)
    assert measured["stats"]["bytes_in"] >= 3 * LIMIT_BYTES
    assert measured["corpus_peak_bytes"] < LIMIT_BYTES  # else it would hide the worker's peak
    assert measured["worker_peak_bytes"] < LIMIT_BYTES
    assert measured["parent_peak_bytes"] < LIMIT_BYTES
    assert measured["stats"]["documents_dropped"] > 100_000
