"""What the store costs, each figure beside the plain library doing the same in the same run.

    .venv/bin/python -m benchmarks.store                # everything, about ten minutes on two cores
    .venv/bin/python -m benchmarks.store --only parts   # one of: cached, parts, s3, overhead, many

S3 is the server of `tests/s3` on this machine. Figures are medians of `--runs` runs, peers in turn.
"""

import argparse
import contextlib
import functools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.overhead import measure_overhead
from pretrain.artifact import Artifact, Manifest, PartRecord, find_damage, read_manifest
from pretrain.documents import DOCUMENT_SCHEMA, document_writer
from pretrain.filehash import FileHashes
from pretrain.s3 import NUM_DOWNLOADS_AT_ONCE
from pretrain.stage import UnitFiles, part_name
from pretrain.store import LocalStore, Store, open_store
from tests.s3.bucket import client_of
from tests.s3.server import BUCKET, S3Server, running
from tests.tiny import prose, write_recipe

COMMAND = [sys.executable, "-m", "flows.main"]
NUM_FILES = 12
FILE_BYTES = 16 << 20


def median_seconds(num_runs: int, *actions: Callable[[], Any]) -> list[float]:
    """The median time of each action, run in turn."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(num_runs):
        for action, seconds in zip(actions, times, strict=True):
            started = time.perf_counter()
            action()
            seconds.append(time.perf_counter() - started)
    return [statistics.median(seconds) for seconds in times]


def measure_cached(folder: Path, server: S3Server, num_runs: int) -> dict[str, Any]:
    """A run of ten stages that are all in the store."""
    recipe = write_recipe(folder)
    found: dict[str, Any] = {}
    environment = {**os.environ, **server.environment(), "PRETRAIN_CACHE_DIR": str(folder / "cache")}
    for name, store in (("local", str(folder / "store")), ("s3", f"s3://{BUCKET}/cached")):
        command = ["run", str(recipe), "--store", store, "--json"]
        subprocess.run([*COMMAND, *command], env=environment, check=True, capture_output=True)
        before = len(server.requests())
        ended = subprocess.run([*COMMAND, *command], env=environment, check=True, capture_output=True)
        stages = json.loads(ended.stdout)["stages"]
        if {stage["action"] for stage in stages} != {"cached"}:
            raise RuntimeError("the second run was not cached")
        found[f"{name}: requests a stage"] = (len(server.requests()) - before) / len(stages)
        run = functools.partial(subprocess.run, [*COMMAND, *command], env=environment, check=True, capture_output=True)
        (seconds,) = median_seconds(num_runs, run)
        found[f"{name}: seconds"] = seconds
        found[f"{name}: seconds without imports"] = seconds - imports_seconds(command, environment)
    return found


def imports_seconds(arguments: list[str], environment: dict[str, str]) -> float:
    """Python's start and the import of every module that the command loads, without running it."""
    code = (
        "import json, runpy, sys\n"
        f"sys.argv = ['pretrain', *{arguments!r}]\n"
        "try:\n    runpy.run_module('flows.main', run_name='__main__')\n"
        "except SystemExit:\n    pass\n"
        "print('\\n' + json.dumps(list(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    names = json.loads(done.stdout.splitlines()[-1])
    script = "import importlib, contextlib\n" + "".join(
        f"with contextlib.suppress(Exception): importlib.import_module({name!r})\n"
        for name in names
        if name != "__main__"
    )
    action = functools.partial(subprocess.run, [sys.executable, "-c", script], check=True, capture_output=True)
    return median_seconds(5, action)[0]


def measure_parts(folder: Path, num_runs: int) -> dict[str, float]:
    """Parts of documents written and read, beside pyarrow on plain files."""
    texts = prose(10_000)
    rows = [{"id": f"{n:032x}", "text": texts[n % len(texts)] + str(n), "source": "s"} for n in range(40_000)]
    table = pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA)
    groups = [table.slice(first, 4096) for first in range(0, table.num_rows, 4096)]
    store, plain = LocalStore(folder / "store"), folder / "plain.parquet"
    files = UnitFiles(store, "filter/00")

    def write() -> None:
        with files.create("data/part-00000.parquet") as output, document_writer(output.open()) as writer:
            for group in groups:
                writer.append_table(group)
            output.rows = writer.num_rows

    def write_plainly() -> None:
        with pq.ParquetWriter(plain, DOCUMENT_SCHEMA, compression="zstd", compression_level=3) as writer:
            for group in groups:
                writer.write_table(group, row_group_size=group.num_rows)

    ours, theirs = median_seconds(num_runs, write, write_plainly)
    artifact = artifact_of(store, "filter", "00", files.written[-1:])
    part = artifact.parts()[0]
    our_read, their_read = median_seconds(
        num_runs, lambda: pq.read_table(artifact.open_part(part)), lambda: pq.read_table(plain)
    )
    return {
        "MB of text": sum(len(row["text"]) for row in rows) / 1e6,
        "write: of pyarrow's speed": theirs / ours,
        "read: of pyarrow's speed": their_read / our_read,
        "write: ms": 1000 * ours,
        "read: ms": 1000 * our_read,
    }


def measure_s3(folder: Path, server: S3Server, num_runs: int) -> dict[str, float]:
    """Whole files to S3 and back, beside botocore (which is what boto3 calls) with as many threads."""
    store, client = open_store(f"s3://{BUCKET}/files"), client_of(server)
    contents = [os.urandom(FILE_BYTES) for _ in range(NUM_FILES)]
    keys = [f"filter/00/data/{part_name(n)}" for n in range(NUM_FILES)]

    def put(number: int) -> None:
        path = store.scratch_file(keys[number])
        path.write_bytes(contents[number])
        store.put_file(path, keys[number])

    def put_plainly(number: int) -> None:
        path = folder / f"plain-{number}"
        path.write_bytes(contents[number])
        client.put_object(Bucket=BUCKET, Key=f"plain/{keys[number]}", Body=path.read_bytes())

    def get(number: int) -> None:
        store.local_file(keys[number], fresh=True)

    def get_plainly(number: int) -> None:
        answer = client.get_object(Bucket=BUCKET, Key=f"plain/{keys[number]}")
        with (folder / f"plain-{number}").open("wb") as file:
            for chunk in answer["Body"].iter_chunks(1 << 20):
                file.write(chunk)

    def all_of(action: Callable[[int], None]) -> Callable[[], None]:
        def run() -> None:
            with ThreadPoolExecutor(NUM_DOWNLOADS_AT_ONCE) as threads:
                list(threads.map(action, range(NUM_FILES)))

        return run

    put_ours, put_theirs = median_seconds(num_runs, all_of(put), all_of(put_plainly))
    get_ours, get_theirs = median_seconds(num_runs, all_of(get), all_of(get_plainly))
    megabytes = NUM_FILES * FILE_BYTES / 1e6
    return {
        "put: of botocore's speed": put_theirs / put_ours,
        "get: of botocore's speed": get_theirs / get_ours,
        "put: MB/s": megabytes / put_ours,
        "get: MB/s": megabytes / get_ours,
    }


def measure_many(folder: Path, num_runs: int, num_parts: int = 10_000) -> dict[str, float]:
    """An artifact of 10,000 parts: opened, found whole, verified by listing, and one part opened."""
    store = LocalStore(folder / "store")
    records = []
    hashes = FileHashes()
    for index in range(num_parts):
        key = f"filter/{'0' * 32}/data/{part_name(index)}.parquet"
        path = store.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%06d" % index)
        digest = hashes.sha256(path, settled_only=False)
        records.append(PartRecord(path=key.split("/", 2)[2], bytes=6, rows=1, sha256=digest))
    artifact = artifact_of(store, "filter", "0" * 32, records)
    opened, found, verified = median_seconds(
        num_runs,
        lambda: read_manifest(store, "filter", "0" * 32),
        lambda: find_damage(artifact, FileHashes(), rehash=False),
        lambda: find_damage(artifact, FileHashes(), rehash=True),
    )
    return {"parts": num_parts, "open: s": opened, "found whole (plan): s": found, "every byte read: s": verified}


def artifact_of(store: Store, stage: str, fingerprint: str, records: list[PartRecord]) -> Artifact:
    """An artifact with these parts."""
    manifest = Manifest(
        stage=stage,
        stage_version=1,
        fingerprint=fingerprint,
        inputs=[],
        config={},
        parts=records,
        stats={},
        provenance={},
    )
    store.write_bytes(f"{stage}/{fingerprint}/manifest.json", manifest.to_bytes())
    return Artifact(store, manifest)


@contextlib.contextmanager
def surroundings(folder: Path) -> Iterator[S3Server]:
    """A server, and this process pointed at it, with a cache of its own."""
    with running(folder / "server") as server:
        os.environ.update(server.environment(), PRETRAIN_CACHE_DIR=str(folder / "cache"))
        yield server


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=["cached", "parts", "s3", "overhead", "many"])
    parser.add_argument("--megabytes", type=int, default=200, help="size of the data run of `overhead`")
    chosen = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    )
    with tempfile.TemporaryDirectory(prefix="pretrain-benchmark-") as name, surroundings(Path(name)) as server:
        folder = Path(name)
        measures: dict[str, Callable[[Path], dict[str, Any]]] = {
            "cached": lambda place: measure_cached(place, server, chosen.runs),
            "parts": lambda place: measure_parts(place, chosen.runs),
            "s3": lambda place: measure_s3(place, server, chosen.runs),
            "overhead": lambda place: measure_overhead(place, chosen.megabytes),
            "many": lambda place: measure_many(place, chosen.runs),
        }
        for title, measure in measures.items():
            if chosen.only in (None, title):
                (folder / title).mkdir()
                print(f"\n{title}: {' '.join((measure.__doc__ or '').split())}")
                for what, value in measure(folder / title).items():
                    print(f"  {what:40} {value:10.3f}", flush=True)


if __name__ == "__main__":
    main()
