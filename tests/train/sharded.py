"""Trains in several processes that share one after another of some trainings, and says what each read and held."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pretrain.stage import StageContext, Stats
from pretrain.train.config import TrainConfig
from tests.train.killing import kept, prepared


@dataclass(frozen=True)
class Share:
    """A training of several processes: by FSDP2 unless said otherwise, to its end or to a step."""

    context: StageContext[TrainConfig]
    sharding: str = "fsdp"
    stop_after: int | None = None


@dataclass(frozen=True)
class Told:
    """What came of it: the stats as of `train_here`, and by process what it told, see `sharded_process`."""

    stats: Stats
    processes: list[dict[str, Any]]


def train_together(
    shares: Sequence[Share], num_processes: int = 2, kill: Mapping[str, Any] | None = None
) -> list[Told] | None:
    """Trains; None where the processes were killed, as `kill` says (`ranks`, and the `step` of the save)."""
    with contextlib.ExitStack() as stack:
        jobs = [
            stack.enter_context(prepared(share.context, num_processes=num_processes, sharding=share.sharding))
            for share in shares
        ]
        entries = []
        for share, job in zip(shares, jobs, strict=True):
            path = job.scratch_folder / "job.json"
            path.write_text(job.model_dump_json())
            told = job.scratch_folder / "told"
            entries.append({"job": str(path), "told": str(told), "stop_after": share.stop_after})
        plan = jobs[0].scratch_folder / "plan.json"
        plan.write_text(json.dumps({"jobs": entries, "kill": kill}))
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_processes}"),
                *("-m", "tests.train.sharded_process", str(plan)),
            ],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if kill is not None:
            assert ended.returncode and f"Signal {signal.SIGKILL.value} (SIGKILL)" in ended.stderr, ended.stderr
            return None
        assert ended.returncode == 0, ended.stderr
        return [
            _told(share, job, [f"{entry['told']}-{rank}" for rank in range(num_processes)])
            for share, job, entry in zip(shares, jobs, entries, strict=True)
        ]


def _told(share: Share, job: Any, paths: list[str]) -> Told:
    processes = []
    for path in paths:
        with open(path) as file:
            processes.append(json.load(file))
    stats = processes[0]["stats"]
    return Told(stats if share.stop_after else kept(share.context, job, stats), processes)
