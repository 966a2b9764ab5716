"""Runs the stage over a corpus several times its memory limit and prints the peak of resident memory as JSON.

    python -m tests.dedup.memory_run FOLDER TEXT_BYTES DOCUMENT_CHARS

The corpus is written by a process of its own, whose memory does not count.
"""

import json
import multiprocessing
import random
import resource
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pretrain.artifact import Artifact, Manifest
from pretrain.dedup.config import DedupConfig
from pretrain.dedup.stage import build
from pretrain.documents import DOCUMENT_SCHEMA
from pretrain.runner import LocalRunner
from pretrain.stage import UnitFiles, part_name
from pretrain.store import LocalStore
from tests.dedup.corpus import WORDS, make_context

LIMIT_BYTES = 512 << 20
_PART_BYTES = 100_000_000
_GROUP_DOCUMENTS = 1024


def write_corpus(folder: Path, text_bytes: int, document_chars: int) -> None:
    """Texts are windows of one long text, a tenth of them at places that others start near: near-duplicates."""
    rng = random.Random(0)
    block = " ".join(rng.choices(WORDS, k=min(text_bytes, 64_000_000) // 4))
    files = UnitFiles(LocalStore(folder), "filter/upstream")
    number = 0
    for part in range(text_bytes // _PART_BYTES):
        with (
            files.create(f"data/{part_name(part)}.parquet") as output,
            pq.ParquetWriter(output.path, DOCUMENT_SCHEMA, compression="zstd", compression_level=1) as writer,
        ):
            while number * document_chars < (part + 1) * _PART_BYTES:
                starts = [rng.randrange(len(block) - document_chars) for _ in range(_GROUP_DOCUMENTS)]
                starts[::10] = [start // 400_000 * 400_000 + start % 7 * 4 for start in starts[::10]]
                columns = {
                    "id": [f"{rng.getrandbits(128):032x}" for _ in starts],
                    "text": [block[start : start + document_chars] for start in starts],
                    "source": ["web"] * len(starts),
                }
                empty = [None] * len(starts)
                rows = pa.table(columns | {"url": empty, "lang": empty, "metadata": empty}, DOCUMENT_SCHEMA)
                writer.write_table(rows, row_group_size=len(starts))
                output.rows += len(starts)
                number += len(starts)
    manifest = {"stage": "filter", "stage_version": 1, "fingerprint": "upstream", "inputs": [], "config": {}}
    made = Manifest(**manifest, parts=files.written, stats={}, provenance={})
    LocalStore(folder).write_bytes("filter/upstream/manifest.json", made.to_bytes())


def peak_bytes(who: int) -> int:
    return resource.getrusage(who).ru_maxrss * 1024


def main(folder: Path, text_bytes: int, document_chars: int) -> None:
    writer = multiprocessing.get_context("spawn").Process(
        target=write_corpus, args=(folder, text_bytes, document_chars)
    )
    writer.start()
    writer.join()
    corpus_peak = peak_bytes(resource.RUSAGE_CHILDREN)
    store = LocalStore(folder)
    manifest = Manifest.model_validate_json(store.read_bytes("filter/upstream/manifest.json"))
    config = DedupConfig(memory_limit_bytes=LIMIT_BYTES)
    started = time.monotonic()
    with LocalRunner(1) as runner:
        stats = build(make_context(store, Artifact(store, manifest), config, runner))
        [(_, worker_peak)] = runner.map(peak_bytes, [("peak", resource.RUSAGE_SELF)])  # there is one worker
    print(
        json.dumps(
            {
                "corpus_peak_bytes": corpus_peak,
                "worker_peak_bytes": worker_peak,
                "parent_peak_bytes": peak_bytes(resource.RUSAGE_SELF),
                "seconds": time.monotonic() - started,
                "stats": stats,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
