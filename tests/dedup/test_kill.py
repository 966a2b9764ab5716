"""kill -9 in every phase of the stage: a rerun gives the same bytes and computes no completed unit again."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dedup.corpus import deduplicate
from tests.dedup.killed_run import CONFIG, parts

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

PHASES = {
    *("documents", "exact-scatter", "exact", "segments-scatter", "segments", "minhash", "words-scatter", "words"),
    *("bands-scatter", "bands", "candidates", "ngrams", "verified", "components", "relations", "decisions"),
    *("clusters", "part"),
}


def run(folder, num_files, moment):
    program = [sys.executable, "-m", "tests.dedup.killed_run", str(folder), str(num_files), moment]
    return subprocess.run(program, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[2])


def receipts(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "dedup/x/receipts").glob("*.json")}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_chain_of_kills_ends_with_the_bytes_of_an_undisturbed_run(tmp_path, moment):
    expected = deduplicate(tmp_path / "whole", parts(), CONFIG).bytes_by_path()
    done, hit, kills, num_files = {}, set(), 0, 3
    while True:
        ended = run(tmp_path / "killed", num_files, moment)
        found = receipts(tmp_path / "killed")
        assert {name: found[name] for name in done} == done
        new = found.keys() - done.keys()
        num_files = 3 if new else num_files + 4  # a unit of many files needs more of them to complete
        done, kills = found, kills + 1
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        hit |= {re.sub(r"(-128m)?-\d+\.json$", "", name) for name in new}
    assert kills > 10
    hit |= {re.sub(r"(-128m)?-\d+\.json$", "", name) for name in done}
    assert hit == PHASES
    outcome = deduplicate(tmp_path / "killed", parts(), CONFIG)
    assert outcome.bytes_by_path() == expected
    print(f"{kills - 1} kills")
