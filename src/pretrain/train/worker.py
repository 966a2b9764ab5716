"""The training process: `python -m pretrain.train.worker job.json`, which `pretrain.train.stage` starts.

It imports no Prefect, needs no store and no network, and may be killed at any time: the same job resumes.
"""

import os
import sys
import time

from pretrain.errors import PretrainError
from pretrain.subprocesses import emit, end_with_parent, read_job

# transformers imports them where they are installed, for what training has no use for: 1.8 of its 5 s.
_UNUSED_LIBRARIES = ("datasets", "scipy", "sklearn")


def main() -> int:
    """Trains as the job says; the exit status."""
    started = time.monotonic()
    end_with_parent()
    _prepare_process()
    from transformers.utils import logging

    from pretrain.train.job import TrainJob
    from pretrain.train.training import train

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        stats = train(TrainJob.model_validate(read_job(sys.argv)), started)
    except PretrainError as error:
        emit("failed", error=type(error).__name__, message=str(error))
        return 1
    emit("finished", stats=stats)
    return 0


def _prepare_process() -> None:
    """Makes the result depend on the job alone, not on what the shell or the machine happens to have."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    # One process: with two devices in sight the Trainer would silently double the batch.
    os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    for name in [name for name in os.environ if name.startswith("ACCELERATE_")]:
        del os.environ[name]
    for name in _UNUSED_LIBRARIES:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's own way to say: not here


if __name__ == "__main__":
    sys.exit(main())
