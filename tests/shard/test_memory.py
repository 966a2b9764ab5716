"""The memory of a worker and of the process that plans, over corpora and parts larger than it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.shard.memory_run import LIMIT_BYTES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def measure(
    folder: Path, num_parts: int, part_bytes: int, document_chars: int, config: dict[str, Any]
) -> dict[str, Any]:
    program, root = [sys.executable, "-m", "tests.shard.memory_run", str(folder)], Path(__file__).parents[2]
    subprocess.run([*program, *map(str, (num_parts, part_bytes, document_chars))], check=True, cwd=root)
    ended = subprocess.run([*program, json.dumps(config)], check=True, stdout=subprocess.PIPE, cwd=root)
    measured: dict[str, Any] = json.loads(ended.stdout)
    print(measured)
    return measured


@pytest.mark.parametrize(
    "config",
    [
        {"parts": 1},
        {"parts": 1, "shuffle": False},
        {"parts": 3, "mixture": {"code": {"epochs": 1.5}, "web": {"tokens": 250_000_000}}},
    ],
    ids=["one part", "in order", "mixed"],
)
def test_a_corpus_and_a_part_of_twice_the_limit_stay_within_it(tmp_path, config):
    measured = measure(tmp_path, 1, 2 * LIMIT_BYTES, 3000, config)
    assert measured["stats"]["bytes_in"] >= 2 * LIMIT_BYTES
    assert measured["worker_peak_bytes"] < LIMIT_BYTES
    assert measured["parent_peak_bytes"] < LIMIT_BYTES // 2


def test_what_is_known_of_each_document_is_not_held(tmp_path):
    # 3 million documents: their hashes alone would take 48 MB, and as much again to be put in order.
    small = measure(tmp_path / "small", 1, 3_000_000, 30, {"parts": 4})
    large = measure(tmp_path / "large", 20, 4_500_000, 30, {"parts": 4})
    assert large["stats"]["documents_in"] >= 3_000_000
    assert large["parent_peak_bytes"] < small["parent_peak_bytes"] + (24 << 20)
    assert large["worker_peak_bytes"] < LIMIT_BYTES


def test_a_document_is_held_a_few_times(tmp_path):
    document = 150_000_000
    measured = measure(tmp_path, 1, 4 * document, document, {"parts": 2, "validation_fraction": 0.2})
    assert measured["stats"]["documents_in"] == 4
    assert measured["worker_peak_bytes"] < 16 * document
