"""The share of a data run that manifests, hashes, receipts and ledgers take, by timing those calls in one process."""

import contextlib
import functools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

import pretrain.documents
import pretrain.pipeline
import pretrain.stage
from pretrain.artifact import Artifact
from pretrain.dag import node, stages_of
from pretrain.documents import LedgerRow, TableWriter
from pretrain.runner import InlineRunner
from pretrain.runs import recorded_run
from pretrain.spec import RunSpec
from pretrain.store import LocalStore
from tests.tiny import prose, tiny_values

LAST = "shard"


class Clock:
    """Seconds by name, the time of an inner call counted once."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._depth = 0

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time added under the name."""

        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            if self._depth:
                return function(*arguments, **options)
            self._depth += 1
            started = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds[name] += time.perf_counter() - started
                self._depth -= 1

        return call


@contextlib.contextmanager
def clocked() -> Iterator[Clock]:
    """The calls of the engine that are not a stage's own work, under a clock."""
    clock = Clock()
    append, close = TableWriter.append, TableWriter.close

    def append_row(writer: TableWriter, row: Any) -> None:
        (clock.timed("ledger", append) if isinstance(row, LedgerRow) else append)(writer, row)

    def close_table(writer: TableWriter) -> None:
        is_ledger = writer._schema is pretrain.documents.LEDGER_SCHEMA
        (clock.timed("ledger", close) if is_ledger else close)(writer)

    replaced = [
        (pretrain.stage, "sha256_of_file", clock.timed("sha256", pretrain.stage.sha256_of_file)),
        (LocalStore, "put_file", clock.timed("commit of files", LocalStore.put_file)),
        (LocalStore, "write_bytes", clock.timed("receipts and records", LocalStore.write_bytes)),
        (pretrain.pipeline, "find_damage", clock.timed("check of manifests", pretrain.pipeline.find_damage)),
        (
            pretrain.stage.StageContext,
            "_valid_receipts",
            clock.timed("check of receipts", pretrain.stage.StageContext._valid_receipts),
        ),
        (pretrain.pipeline.Pipeline, "_commit", clock.timed("manifests", pretrain.pipeline.Pipeline._commit)),
        (Artifact, "open_part", clock.timed("check of parts", Artifact.open_part)),
        (TableWriter, "append", append_row),
        (TableWriter, "close", close_table),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced]
    for owner, name, function in replaced:
        setattr(owner, name, function)
    try:
        yield clock
    finally:
        for owner, name, function in before:
            setattr(owner, name, function)


def measure_overhead(folder: Path, megabytes: int) -> dict[str, float]:
    """A data run from JSON Lines to shards in one process: seconds of the whole, and of what the engine adds."""
    write_corpus(folder / "corpus", megabytes)
    values = {
        key: value
        for key, value in tiny_values().items()
        if key in {"name", "seed", "download", "filter", "dedup", "language", "shard"}
    }
    values["shard"] = {"parts": 8, "validation_fraction": 0.01}
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**tiny_values(), **values}))
    spec = RunSpec(recipe=str(folder / "recipe.yaml"), store=str(folder / "store"), until=LAST)
    started = time.perf_counter()
    with clocked() as clock, recorded_run(spec) as run:
        pipeline, built = run.pipeline(), {}
        for stage in stages_of(pipeline.recipe, LAST):
            inputs = {role: built[name] for role, name in node(stage).inputs(pipeline.recipe).items()}
            outcome = pipeline.obtain(stage, inputs, runner=InlineRunner(), progress=lambda *_: None)
            built[stage] = outcome.artifact
    total = time.perf_counter() - started
    added = sum(clock.seconds.values())
    shares = {f"  {name}: s": seconds for name, seconds in sorted(clock.seconds.items())}
    return {"MB": megabytes, "run: s": total, "added: s": added, "added: % of the run": 100 * added / total, **shares}


def write_corpus(folder: Path, megabytes: int) -> None:
    """Documents of two to twelve KB of English, each differing from all others, in files of 20 MB."""
    folder.mkdir(parents=True)
    texts = prose(10_000)
    written = number = 0
    while written < megabytes * 1_000_000:
        with (folder / f"{written:012d}.jsonl").open("w", encoding="utf-8") as file:
            end = min(written + 20_000_000, megabytes * 1_000_000)
            while written < end:
                picked = [texts[(number * 31 + k * 17) % len(texts)] for k in range(4 + number % 17)]
                line = json.dumps({"id": number, "text": f"{number}\n" + "\n".join(picked)}) + "\n"
                file.write(line)
                written += len(line)
                number += 1
