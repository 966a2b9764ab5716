"""Where and when an artifact was made: what helps a person, and takes no part in equality."""

import datetime
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# The libraries whose version bears on the bytes of a stage, beside the interpreter's own.
_LIBRARIES = {
    "download": ("pyarrow", "datasets", "warcio", "trafilatura", "lxml", "justext", "resiliparse"),
    "filter": ("pyarrow", "numpy", "numba", "spacy"),
    "dedup": ("pyarrow", "numpy", "numba", "xxhash"),
    "language": ("pyarrow", "fasttext-community"),
    "decontaminate": ("pyarrow", "numpy", "numba"),
    "shard": ("pyarrow", "numpy"),
    "tokenizer": ("tokenizers", "transformers"),
    "pack": ("tokenizers", "numpy", "pyarrow"),
    "init": ("torch", "transformers", "safetensors"),
    "train": ("torch", "transformers", "accelerate", "safetensors"),
    "eval": ("torch", "transformers", "lm_eval"),
}


def provenance(stage: str, seconds: float, measured: dict[str, Any], run_id: str | None) -> dict[str, Any]:
    """The provenance of an artifact made now.

    Args:
        stage: the stage that made it.
        seconds: wall time of the build; units kept from an earlier attempt cost nothing.
        measured: numbers that come from a clock (tokens per second).
        run_id: the run that built it.
    """
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "run_id": run_id,
        "libraries": {name: _version(name) for name in ("pretrain", *_LIBRARIES.get(stage, ()))},
        "git_commit": _git_commit(),
        "measured": measured,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None
