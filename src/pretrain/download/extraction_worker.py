"""The process that finds the main text of pages: HTML in by stdin, text out by stdout, one page at a time.

Both ways a message is its length (4 bytes, little endian) and its UTF-8 bytes. An answer of the length `NO_TEXT` has
no bytes; the first one says that the process is ready.

A page that takes too much CPU time ends the process by SIGPROF, one that takes too much memory by an error or a crash.
"""

import contextlib
import os
import queue
import resource
import signal
import struct
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO

from pretrain.download.html_config import HtmlOptions

NO_TEXT = 0xFFFFFFFF  # the length of an answer that is none
LENGTH = struct.Struct("<I")
_READ_BYTES = 1 << 20

# The main text of a page, or None.
Extract = Callable[[str], str | None]


def trafilatura_extractor(options: HtmlOptions) -> Extract:
    """The `extract` of trafilatura, each page by itself (its `deduplicate` would remember those before)."""
    import trafilatura

    def extract(html: str) -> str | None:
        text: str | None = trafilatura.extract(
            html,
            favor_precision=options.favor_precision,
            include_comments=options.include_comments,
            include_tables=options.include_tables,
            deduplicate=False,
        )
        return text

    return extract


def resiliparse_extractor(options: HtmlOptions) -> Extract:
    """The `extract_plain_text` of resiliparse, main content only, without alternative texts, as in DCLM."""
    from resiliparse.extract.html2text import extract_plain_text

    def extract(html: str) -> str | None:
        return extract_plain_text(
            html, main_content=True, alt_texts=False, links=False, comments=options.include_comments
        )

    return extract


EXTRACTORS: dict[str, Callable[[HtmlOptions], Extract]] = {
    "trafilatura": trafilatura_extractor,
    "resiliparse": resiliparse_extractor,
}


def serve(extract: Extract, options: HtmlOptions) -> None:
    """Answers pages until stdin closes. An error of the extractor ends the process; the parent starts another."""
    limit_memory(options.memory_bytes)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    pages: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_pages, args=(pages,), daemon=True).start()
    _answer(answers, None)
    while True:
        html = pages.get().decode("utf-8")
        # By the kernel and without a handler: a hung extension module runs none.
        signal.setitimer(signal.ITIMER_PROF, options.timeout_seconds)
        text = extract(html)
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        _answer(answers, text)


def limit_memory(num_bytes: int) -> None:
    """Limits the address space of this process, where the system can."""
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = num_bytes if hard == resource.RLIM_INFINITY else min(num_bytes, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def main(arguments: list[str]) -> None:
    """Serves with the extractor that the options, as JSON, name."""
    options = HtmlOptions.model_validate_json(arguments[1])
    serve(EXTRACTORS[options.extractor](options), options)


def _read_pages(pages: queue.SimpleQueue[bytes]) -> None:
    """Hands on pages, and ends this process when the parent is gone, also in the middle of one."""
    while length := os.read(0, LENGTH.size):
        pages.put(_read_exactly(*LENGTH.unpack(length)))
    os._exit(0)


def _read_exactly(num_bytes: int) -> bytes:
    parts: list[bytes] = []
    while num_bytes and (data := os.read(0, min(num_bytes, _READ_BYTES))):
        parts.append(data)
        num_bytes -= len(data)
    return b"".join(parts)


def _answer(answers: BinaryIO, text: str | None) -> None:
    data = (text or "").encode("utf-8", "replace")
    if data.isspace() or not data:
        answers.write(LENGTH.pack(NO_TEXT))
    else:
        answers.write(LENGTH.pack(len(data)) + data)
    answers.flush()


if __name__ == "__main__":
    main(sys.argv)
