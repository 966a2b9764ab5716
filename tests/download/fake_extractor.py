"""A worker for web pages whose pages say what it does: run as `python -m tests.download.fake_extractor`."""

import ctypes
import os
import sys
import time

from pretrain.download.extraction_worker import serve
from pretrain.download.html_config import HtmlOptions


def extract(html: str) -> str | None:
    """The page itself, unless it names one of the things that extractors do."""
    if html == "sleep":
        time.sleep(600)
    elif html == "spin":
        while True:
            pass
    elif html == "hold the lock":
        ctypes.PyDLL(None).pause()  # as an extension module that hangs: no other thread runs
    elif html == "exit":
        os._exit(3)
    elif html == "crash":
        ctypes.string_at(0)
    elif html == "fail":
        raise ValueError("no such page")
    elif html == "eat memory":
        bytearray(64 << 30)
    elif html == "print":
        print("a library's message")
        os.write(1, b"and another")
    elif html == "pid":
        return str(os.getpid())
    return None if html == "nothing" else html


if __name__ == "__main__":
    options = HtmlOptions.model_validate_json(sys.argv[1])
    serve(extract, options)
