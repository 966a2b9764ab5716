"""What the process that workers are forked from loads, by importing this module. Nothing else imports it.

Of its own a worker takes 1.5 s of processor time to load pyarrow, numba and the compiled loops, for each stage again.
Only what starts no Python thread is loaded: a fork has no other thread, and what they hold stays locked. (torch and
polars are loaded by the worker that needs them; tokenizers starts its threads at its first parallel use.)
"""

import contextlib
import gc
import os
import signal
from importlib import import_module

from pretrain.runner import ONE_THREAD

signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the driver ends its workers
os.environ.update(ONE_THREAD)  # before what reads it
# `pretrain.cli.app` is what the command imports, which a worker imports again as its main module.
for _name in ("pretrain.cli.app", "pretrain.pipeline"):
    import_module(_name)
for _name in ("download", "filter", "dedup", "language", "decontaminate", "shard", "tokenizer", "pack"):
    import_module(f"pretrain.{_name}.stage")
with contextlib.suppress(ImportError):
    # pyarrow imports them where they are installed, to make its first table of numpy arrays: 0.4 s.
    import_module("pandas")
    import_module("pyarrow.dataset")
import_module("pretrain.dedup.kernels").hash_words("the first call takes numba 0.6 s")
gc.collect()
gc.freeze()  # a collection in a worker would write to every object, and so copy the memory that is shared
