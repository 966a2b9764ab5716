"""One of several training processes, which says what it read and held: `torchrun -m tests.train.sharded_process PLAN`.

The plan is JSON: `jobs` with the path of each `job`, of the file that each process adds its rank to and says so in
(`told`), and the step to `stop_after` or null; trained one after the other. `kill` has the ranks that end themselves by
SIGKILL when they have written their share of the optimizer's state at a step.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from torch.nn.parallel import DistributedDataParallel
from transformers import TrainerCallback

from pretrain.train import trainer
from pretrain.train.job import TrainJob
from pretrain.train.samples import OrderedSamples
from pretrain.train.sharding import own_bytes
from pretrain.train.stopping import Stopped, StopRequest
from pretrain.train.training import train
from pretrain.train.worker import _prepare_process


class Observer(TrainerCallback):
    """Stops after a step, and notes the bytes of weights and of the optimizer's state that this process holds."""

    def __init__(self, stop, stop_after):
        self.stop, self.stop_after, self.told = stop, stop_after, {}

    def on_step_begin(self, args, state, control, **kwargs):
        self.stop.is_made |= state.global_step + 1 == self.stop_after

    def on_train_end(self, args, state, control, *, model, optimizer, **kwargs):
        states = [value for state in optimizer.state.values() for value in state.values() if value.dim()]
        self.told = {
            "parameter_bytes": own_bytes(model.parameters()),
            "state_bytes": own_bytes(states),
            "is_whole": [name for name, value in model.named_parameters() if not hasattr(value, "full_tensor")],
        }


def do(entry, rank):
    places = []
    read = OrderedSamples.__getitems__
    OrderedSamples.__getitems__ = lambda self, batch: (places.append([int(p) for p in batch]), read(self, batch))[1]
    unsummed = []
    no_sync = DistributedDataParallel.no_sync
    DistributedDataParallel.no_sync = lambda self: (unsummed.append(1), no_sync(self))[1]
    stop = StopRequest()
    observer = Observer(stop, entry["stop_after"])
    job = TrainJob.model_validate_json(Path(entry["job"]).read_text())
    try:
        stats = train(job, time.monotonic(), stop, [observer])
    except Stopped as stopped:
        stats = {"stopped": stopped.step}
    OrderedSamples.__getitems__ = read
    DistributedDataParallel.no_sync = no_sync
    told = {"stats": stats, "places": places, "unsummed": len(unsummed), **observer.told}
    Path(f"{entry['told']}-{rank}").write_text(json.dumps(told))


def kill_in_a_save(at_step):
    save = trainer.save_shard

    def save_and_die(optimizer, names, folder, index, count):
        save(optimizer, names, folder, index, count)
        if folder.name == f"checkpoint-{at_step}":
            os.kill(os.getpid(), signal.SIGKILL)

    trainer.save_shard = save_and_die


def main():
    plan = json.loads(Path(sys.argv[1]).read_text())
    rank = int(os.environ["RANK"])
    _prepare_process(TrainJob.model_validate_json(Path(plan["jobs"][0]["job"]).read_text()))
    if plan["kill"] and rank in plan["kill"]["ranks"]:
        kill_in_a_save(plan["kill"]["step"])
    for entry in plan["jobs"]:
        do(entry, rank)


if __name__ == "__main__":
    main()
