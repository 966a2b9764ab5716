"""A job's process and its temporary folder end with the process that asked for it, however that ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pretrain.subprocesses import job_folder, run_job

JOB = """
import sys, time
from pretrain.subprocesses import emit, end_with_parent, read_job
end_with_parent()
emit("began", job=read_job(sys.argv))
time.sleep(float(read_job(sys.argv)["seconds"]))
"""
PARENT = """
import os
from pretrain.subprocesses import job_folder, run_job
with job_folder() as folder:
    run_job("job", {"seconds": 600}, folder, lambda event: print("began", flush=True), environment=dict(os.environ))
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / "tmp").mkdir()
    return {"PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path / "tmp")}


def test_a_job_is_told_what_to_do_and_heard(environment: dict[str, str]) -> None:
    heard: list[object] = []
    with job_folder() as folder:
        run_job("job", {"seconds": 0}, folder, heard.append, environment=environment)
    assert heard == [{"event": "began", "job": {"seconds": 0}}]
    assert not folder.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_folder_goes_with_a_parent_that_is_stopped(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **environment},
    )
    assert parent.stdout is not None and parent.stdout.readline() == "began\n"
    assert len(list((tmp_path / "tmp").iterdir())) == 1
    parent.send_signal(number)
    parent.wait(30)
    deadline = time.monotonic() + 20
    while list((tmp_path / "tmp").iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
