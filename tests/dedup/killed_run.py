"""The stage in a process that kills itself (SIGKILL) before or after a number of committed files."""

import os
import random
import signal
from pathlib import Path

from pretrain.dedup.config import DedupConfig, SegmentsConfig, SubstringsConfig
from pretrain.dedup.stage import build
from pretrain.documents import Document
from pretrain.store import LocalStore
from tests.dedup.corpus import make_context, sentence
from tests.document_artifact import make_document_artifact

CONFIG = DedupConfig(
    segments=SegmentsConfig(unit="line", min_chars=10, max_documents=3),
    substrings=SubstringsConfig(min_bytes=16),
    memory_limit_bytes=512 << 20,
)


class KillingStore(LocalStore):
    """Kills the process at the file number `left`, before it is there or as soon as it is."""

    def __init__(self, root: Path, left: int, is_before: bool) -> None:
        super().__init__(root)
        self._left = left
        self._is_before = is_before

    def put_file(self, path: Path, key: str, *, sha256: str | None = None) -> None:
        self._left -= 1
        if self._left == 0 and self._is_before:
            os.kill(os.getpid(), signal.SIGKILL)
        super().put_file(path, key, sha256=sha256)
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def parts() -> list[list[Document]]:
    rng = random.Random(7)
    menu = sentence(rng, 12)
    texts = []
    for _ in range(10):
        text = sentence(rng, 100)
        texts += [text, text, f"{menu}\n{text} more", f"{menu}\n{sentence(rng, 80)}"]
    documents = [Document(f"{number:032x}", text, "web") for number, text in enumerate(texts)]
    return [documents[:15], documents[15:20], documents[20:]]


def main(folder: str, num_files: int, moment: str) -> None:
    """Builds in `folder`; `moment` is `before` or `after`."""
    documents = make_document_artifact(LocalStore(Path(folder)), "filter", parts())
    build(make_context(KillingStore(Path(folder), num_files, moment == "before"), documents, CONFIG))
