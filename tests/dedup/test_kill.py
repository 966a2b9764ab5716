"""kill -9 in every phase of the stage: a rerun gives the same bytes and computes no completed unit again."""

import multiprocessing
import re
import signal

import pytest

from tests.dedup.corpus import deduplicate
from tests.dedup.killed_run import CONFIG, main, parts

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

PHASES = {
    *("documents", "exact-scatter", "exact", "segments-scatter", "segments", "minhash", "words-scatter", "words"),
    *("bands-scatter", "bands", "candidates", "ngram-pieces", "verified", "components", "relations", "decisions"),
    *("anchors-scatter", "anchors", "windows-scatter", "windows", "clusters", "part"),
}


def run(folder, num_files, moment):
    """The exit code of a process of its own, which imported everything before it was forked."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["tests.dedup.killed_run"])
    process = server.Process(target=main, args=(str(folder), num_files, moment))
    process.start()
    process.join()
    return process.exitcode


def receipts(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "dedup/x/receipts").glob("*.json")}


def test_a_chain_of_kills_ends_with_the_bytes_of_an_undisturbed_run(tmp_path):
    expected = deduplicate(tmp_path / "whole", parts(), CONFIG).bytes_by_path()
    done, hit, kills, num_files = {}, set(), 0, 3
    while True:
        ended = run(tmp_path / "killed", num_files, ("before", "after")[kills % 2])
        found = receipts(tmp_path / "killed")
        assert {name: found[name] for name in done} == done
        new = found.keys() - done.keys()
        num_files = 3 if new else num_files + 4  # a unit of many files needs more of them to complete
        done, kills = found, kills + 1
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        hit |= {re.sub(r"(-4096p)?(-128m-16384d)?-\d+\.json$", "", name) for name in new}
    assert kills > 10
    hit |= {re.sub(r"(-4096p)?(-128m-16384d)?-\d+\.json$", "", name) for name in done}
    assert hit == PHASES
    outcome = deduplicate(tmp_path / "killed", parts(), CONFIG)
    assert outcome.bytes_by_path() == expected
    print(f"{kills - 1} kills")
