"""Files of real text that are too large for this repository: tests that need one skip where it is absent."""

import os
from pathlib import Path

import pytest


def corpus_file(name: str) -> Path:
    """The path of a corpus, from $PRETRAIN_SHARED_DATA or a folder `shared/data` beside the checkout."""
    beside = Path(__file__).parents[2] / "../shared/data"
    path = Path(os.environ.get("PRETRAIN_SHARED_DATA", beside)) / "corpora" / name
    if not path.exists():
        pytest.skip(f"no {path}: set PRETRAIN_SHARED_DATA to the folder that holds corpora/{name}")
    return path
