"""Runs the stage over a corpus larger than its memory limit and prints the peaks of resident memory as JSON.

python -m tests.shard.memory_run FOLDER NUM_PARTS PART_BYTES DOCUMENT_CHARS   writes the corpus
python -m tests.shard.memory_run FOLDER CONFIG                                runs the stage over it
"""

import json
import random
import resource
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pretrain.artifact import Artifact, Manifest
from pretrain.documents import DOCUMENT_SCHEMA, ROW_GROUP_TEXT_BYTES
from pretrain.runner import LocalRunner
from pretrain.shard.config import ShardConfig
from pretrain.shard.stage import build
from pretrain.stage import UnitFiles, part_name
from pretrain.store import LocalStore
from tests.sequences.stage_inputs import make_context

LIMIT_BYTES = 768 << 20


def write_corpus(folder: Path, num_parts: int, part_bytes: int, document_chars: int) -> None:
    """Texts are windows of one text that is random enough not to shrink much."""
    rng = random.Random(0)
    block = rng.randbytes(16_000_000 + document_chars // 2).hex()
    files = UnitFiles(LocalStore(folder), "language/upstream")
    group = max(1, min(4096, ROW_GROUP_TEXT_BYTES // document_chars))
    for part in range(num_parts):
        with (
            files.create(f"data/{part_name(part)}.parquet") as output,
            pq.ParquetWriter(output.path, DOCUMENT_SCHEMA, compression="zstd", compression_level=1) as writer,
        ):
            while output.rows * document_chars < part_bytes:
                starts = [rng.randrange(32_000_000) for _ in range(group)]
                columns = {
                    "id": [f"{rng.getrandbits(128):032x}" for _ in starts],
                    "text": [block[start : start + document_chars] for start in starts],
                    "source": ["web", "code"] * (group // 2) + ["web"] * (group % 2),
                }
                empty = dict.fromkeys(("url", "lang", "metadata"), [None] * group)
                writer.write_table(pa.table(columns | empty, DOCUMENT_SCHEMA), row_group_size=group)
                output.rows += group
    manifest = {"stage": "language", "stage_version": 1, "fingerprint": "upstream", "inputs": [], "config": {}}
    made = Manifest(**manifest, parts=files.written, stats={}, provenance={})
    LocalStore(folder).write_bytes("language/upstream/manifest.json", made.to_bytes())


def peak_bytes(who: int) -> int:
    return resource.getrusage(who).ru_maxrss * 1024


def main(folder: Path, config: ShardConfig) -> None:
    store = LocalStore(folder)
    manifest = Manifest.model_validate_json(store.read_bytes("language/upstream/manifest.json"))
    started = time.monotonic()
    with LocalRunner(1) as runner:
        stats = build(make_context(store, "shard", config, {"documents": Artifact(store, manifest)}, runner=runner))
        [(_, worker_peak)] = runner.map(peak_bytes, [("peak", resource.RUSAGE_SELF)])  # there is one worker
    print(
        json.dumps(
            {
                "worker_peak_bytes": worker_peak,
                "parent_peak_bytes": peak_bytes(resource.RUSAGE_SELF),
                "seconds": time.monotonic() - started,
                "stats": stats,
            }
        )
    )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        main(Path(sys.argv[1]), ShardConfig.model_validate_json(sys.argv[2]))
    else:
        write_corpus(Path(sys.argv[1]), *map(int, sys.argv[2:]))
