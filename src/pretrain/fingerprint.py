"""Identity of an artifact: a hash over what bears on its bytes, and nothing else.

Counted: the stage's name, its hand-written version, its own part of the recipe (locations left out), and the
fingerprints of its inputs. Not counted: paths, times, number of workers, runner, store, library versions that do not
change results. The same recipe over the same content is the same artifact on every machine.
"""

import hashlib
import json
import math
from typing import Any

FINGERPRINT_HEX_DIGITS = 32  # 128 bits: no collision to expect below 10^18 artifacts


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, UTF-8 kept.

    Raises:
        TypeError: for a value that JSON cannot carry exactly (a set, an object, nan).
    """
    _refuse_unstable(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def fingerprint(stage: str, version: int, config: Any, inputs: list[dict[str, str]]) -> str:
    """32 hex digits naming the artifact of `stage`.

    Args:
        stage: name of the stage.
        version: the stage's hand-written version, raised when its code changes results.
        config: JSON-able identity of the stage's own config.
        inputs: `{"stage": ..., "fingerprint": ...}` in the order in which the stage reads them.
    """
    pairs = [[entry["stage"], entry["fingerprint"]] for entry in inputs]
    text = canonical_json({"stage": stage, "version": version, "config": config, "inputs": pairs})
    return hashlib.sha256(text.encode()).hexdigest()[:FINGERPRINT_HEX_DIGITS]


def _refuse_unstable(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError(f"a fingerprint cannot hold {value!r}: write a finite number or null in the recipe")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"a fingerprint needs text keys, got {key!r}")
            _refuse_unstable(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _refuse_unstable(item)
    elif value is not None and not isinstance(value, (str, int, float, bool)):
        raise TypeError(f"a fingerprint cannot hold a {type(value).__name__} ({value!r})")
