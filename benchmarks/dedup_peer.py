"""Runs under a peer's interpreter: near-duplicates among parquet parts, as a JSON object on standard output.

    X/bin/python benchmarks/dedup_peer.py datatrove|rensa FOLDER

FOLDER has parquet files with columns `id` and `text`. Prints `removed`, ids of the documents that the peer would take
out, and CPU seconds: `signature_seconds` of making signatures alone, `seconds` from the parts to the removed ids.
"""

import contextlib
import json
import resource
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq


def cpu_seconds() -> float:
    """CPU seconds of this process and of those that it waited for."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def read_rows(folder: Path) -> list[tuple[str, str]]:
    """Ids and texts."""
    tables = [pq.read_table(path, columns=["id", "text"]) for path in sorted(folder.glob("*.parquet"))]
    return [row for table in tables for row in zip(*(column.to_pylist() for column in table.columns), strict=True)]


def run_datatrove(folder: Path) -> dict[str, object]:
    """Its four steps with its defaults: word 5-grams, 14 bands of 8."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashDedupBuckets
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import JsonlWriter

    with tempfile.TemporaryDirectory() as scratch:
        tasks = len(list(folder.glob("*.parquet")))
        reader = ParquetReader(str(folder), glob_pattern="*.parquet")
        steps = [
            ([reader, MinhashDedupSignature(f"{scratch}/signatures")], tasks),
            ([MinhashDedupBuckets(f"{scratch}/signatures", f"{scratch}/buckets")], 14),
            ([MinhashDedupCluster(f"{scratch}/buckets", f"{scratch}/remove")], 1),
            (
                [reader, MinhashDedupFilter(f"{scratch}/remove"), JsonlWriter(f"{scratch}/kept", compression=None)],
                tasks,
            ),
        ]
        seconds = []
        started = cpu_seconds()
        for pipeline, number in steps:
            with contextlib.redirect_stdout(sys.stderr):
                LocalPipelineExecutor(pipeline=pipeline, tasks=number, workers=1, logging_dir=None).run()
            seconds.append(cpu_seconds() - started)
        kept = {json.loads(line)["id"] for path in Path(scratch).glob("kept/*") for line in path.open(encoding="utf-8")}
    removed = [identifier for identifier, _ in read_rows(folder) if identifier not in kept]
    return {"removed": removed, "signature_seconds": seconds[0], "seconds": seconds[-1]}


def run_rensa(folder: Path) -> dict[str, object]:
    """R-MinHash of 112 values over word 5-grams, 14 bands, its own estimate of similarity over 0.7."""
    from rensa import RMinHash, RMinHashLSH

    started = cpu_seconds()
    rows = read_rows(folder)
    signatures = []
    for _, text in rows:
        words = text.lower().split()
        minhash = RMinHash(num_perm=112, seed=1)
        minhash.update([" ".join(words[start : start + 5]) for start in range(max(1, len(words) - 4))])
        signatures.append(minhash)
    signed = cpu_seconds() - started
    index = RMinHashLSH(threshold=0.7, num_perm=112, num_bands=14)
    removed = []
    for number, ((identifier, _), minhash) in enumerate(zip(rows, signatures, strict=True)):
        if any(minhash.jaccard(signatures[other]) >= 0.7 for other in index.query(minhash)):
            removed.append(identifier)
        else:
            index.insert(number, minhash)
    return {"removed": removed, "signature_seconds": signed, "seconds": cpu_seconds() - started}


if __name__ == "__main__":
    run = {"datatrove": run_datatrove, "rensa": run_rensa}[sys.argv[1]]
    print(json.dumps(run(Path(sys.argv[2]))))
