"""The training process: `python -m pretrain.train.worker job.json`, which `pretrain.train.stage` starts.

It imports no Prefect, needs no store and no network, and may be killed at any time: the same job resumes. Its exit
status is 0 when the model is trained, 75 when it was asked to stop and made a checkpoint, and else 1. For a job of
several processes it is torchrun, which starts this module once for each.
"""

import contextlib
import os
import sys
import threading
import time

from pretrain.errors import PretrainError
from pretrain.subprocesses import emit, end_with_parent, read_job
from pretrain.train.job import TrainJob
from pretrain.train.stopping import STOPPED_STATUS, Stopped, StopRequest

# transformers imports them where they are installed, for what training has no use for: 1.8 of its 5 s.
_UNUSED_LIBRARIES = ("datasets", "scipy", "sklearn")
_RANK = "RANK"


def main() -> int:
    """Trains as the job says; the exit status."""
    started = time.monotonic()
    end_with_parent()
    job = TrainJob.model_validate(read_job(sys.argv))
    if job.num_processes > 1 and _RANK not in os.environ:
        return _run_torchrun(job.num_processes)
    stop = StopRequest()
    stop.listen()
    return _train(job, started, stop)


def _train(job: TrainJob, started: float, stop: StopRequest) -> int:
    _prepare_process(job)
    from transformers.utils import logging

    from pretrain.train.training import train

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        stats = train(job, started, stop)
    except PretrainError as error:
        with contextlib.redirect_stdout(sys.__stdout__):  # whichever process it is: the disk may be full for one
            emit("failed", error=type(error).__name__, message=str(error))
        return 1
    except Stopped as stopped:
        emit("stopped", step=stopped.step)
        return STOPPED_STATUS
    finally:
        _end_loader_workers()
    emit("finished", stats=stats)
    return 0


def _run_torchrun(num_processes: int) -> int:
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    try:
        torchrun(["--standalone", f"--nproc-per-node={num_processes}", "-m", "pretrain.train.worker", sys.argv[1]])
    except SignalException:
        return STOPPED_STATUS
    except ChildFailedError as error:  # what failed has been told
        print(error, file=sys.stderr)
        return 1
    return 0


def _prepare_process(job: TrainJob) -> None:
    """Makes the result depend on the job alone, not on what the shell or the machine happens to have."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    if job.num_processes == 1:
        # With two devices in sight the Trainer would silently double the batch.
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    else:
        threading.Thread(target=_end_without_torchrun, args=(os.getppid(),), daemon=True).start()
        if os.environ[_RANK] != "0":
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # events come from one process; it lasts as long as this
    for name in [name for name in os.environ if name.startswith("ACCELERATE_")]:
        del os.environ[name]
    for name in _UNUSED_LIBRARIES:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's own way to say: not here


def _end_without_torchrun(torchrun: int) -> None:
    """Ends this process when torchrun was killed: no signal to torchrun's session reaches this one's."""
    while os.getppid() == torchrun:
        time.sleep(0.5)
    os._exit(1)


def _end_loader_workers() -> None:
    """Ends what outlives a request to stop, see `OrderedSamples`; Python would wait for it for ever."""
    from multiprocessing import active_children

    for child in active_children():
        child.kill()


if __name__ == "__main__":
    sys.exit(main())
