"""How fast documents become tokens, and tokens batches, beside datasets.map, datatrove and the bare encoder.

    python -m venv X && X/bin/pip install "datatrove[io,processing]==0.10.1" tokenizers
    .venv/bin/python -m benchmarks.pack tokenize --corpus FOLDER --tokenizer FILE.json --datatrove-python X/bin/python
    .venv/bin/python -m benchmarks.pack shuffle --corpus FOLDER
    .venv/bin/python -m benchmarks.pack loader

A corpus is what `make_bulk.py --format parquet` writes: parts with `id`, `text` and `source`. `tokenize` counts CPU
seconds of one process, medians of `--runs`, ours and the bare encoder in turn; peers take a sample, once. `shuffle` is
the shard stage by the clock, with a worker on every core. `loader` makes its own tokens.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain.artifact import Artifact, Manifest
from pretrain.config import Config
from pretrain.documents import Document, document_id
from pretrain.pack.config import PackConfig
from pretrain.pack.stage import build as build_pack
from pretrain.runner import InlineRunner, LocalRunner, Runner, num_usable_cores
from pretrain.sequences import TokenSequences
from pretrain.sequences.batch_encoder import WatchedBatchEncoder, forget_loaded_tokenizers, open_batch_encoder
from pretrain.sequences.index import SequenceIndex, SplitIndex, TokenPart
from pretrain.sequences.order import SampleOrder
from pretrain.shard.config import ShardConfig
from pretrain.shard.stage import build as build_shard
from pretrain.stage import StageContext, UnitFiles
from pretrain.store import LocalStore, Store
from pretrain.train.batches import batch_of
from tests.document_artifact import make_document_artifact
from tests.sequences.stage_inputs import make_shard_artifact

PEER = Path(__file__).resolve().parent / "pack_peer.py"
BOS, EOS = "<|endoftext|>", "<|endoftext|>"
SEQUENCE_LENGTH = 2048
PART_DOCUMENTS = 40_000  # of 128 MB, as the stages cut them
LOADER_TOKENS = 400_000_000
LOADER_BATCH = 32


def cpu_seconds() -> float:
    """CPU seconds of this process and of those that it waited for."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def report(name: str, **figures: Any) -> None:
    """One line of results."""
    print(json.dumps({"measured": name, **figures}), flush=True)


def read_corpus(folder: Path) -> list[Document]:
    """All documents."""
    tables = [pq.read_table(path, columns=["id", "text", "source"]) for path in sorted(folder.glob("part-*.parquet"))]
    rows = (row for table in tables for row in table.to_pylist())
    return [Document(document_id("bulk", row["id"], 0), row["text"], row["source"]) for row in rows]


def in_parts(documents: list[Document]) -> list[list[Document]]:
    """Parts of the same number of documents."""
    return [documents[start : start + PART_DOCUMENTS] for start in range(0, len(documents), PART_DOCUMENTS)]


def make_tokenizer(store: Store, file: Path) -> Artifact:
    """An artifact of a tokenizer.json."""
    files = UnitFiles(store, "tokenizer/x")
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BOS, "eos_token": EOS}
    for name, data in (("tokenizer.json", file.read_bytes()), ("tokenizer_config.json", json.dumps(config).encode())):
        with files.create(f"data/{name}") as output:
            output.path.write_bytes(data)
    manifest = Manifest(
        stage="tokenizer",
        stage_version=1,
        fingerprint="x",
        inputs=[],
        config={},
        parts=files.written,
        stats={},
        provenance={},
    )
    store.write_bytes("tokenizer/x/manifest.json", manifest.to_bytes())
    return Artifact(store, manifest)


def context_of(
    store: Store, stage: str, config: Config, inputs: dict[str, Artifact], key: str, runner: Runner
) -> StageContext[Any]:
    """A stage that writes under `<stage>/<key>`."""
    return StageContext(
        stage=stage,
        config=config,
        seed=0,
        inputs=inputs,
        external={},
        store=store,
        artifact_key=f"{stage}/{key}",
        runner=runner,
        progress=lambda done, total, text: None,
    )


def measure_tokenize(options: argparse.Namespace) -> None:
    """From parquet to token shards with their index, beside the encoder alone and the peers."""
    documents = read_corpus(options.corpus)
    texts = [document.text for document in documents]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        store = LocalStore(Path(folder))
        tokenizer = make_tokenizer(store, options.tokenizer)
        shard = make_shard_artifact(store, in_parts(documents), [])
        seconds: dict[str, list[float]] = {"bare": [], "pack": [], "pack and export": []}
        for run in range(options.runs):
            forget_loaded_tokenizers()  # so that neither finds the words of this corpus in a cache
            encoder = open_batch_encoder(tokenizer.open_folder())
            if not isinstance(encoder, WatchedBatchEncoder):
                sys.exit("gigatoken is not installed, or does not agree with tokenizers on this tokenizer")
            started = cpu_seconds()
            for part in in_parts(documents):
                encoder.backend.encode_batch([document.text for document in part], parallel=False)
            seconds["bare"].append(cpu_seconds() - started)
            for name, is_exported in (("pack", False), ("pack and export", True)):
                config = PackConfig(sequence_length=SEQUENCE_LENGTH, export_parquet=is_exported)
                inputs = {"shard": shard, "tokenizer": tokenizer}
                context = context_of(store, "pack", config, inputs, f"{run}-{is_exported}", InlineRunner())
                forget_loaded_tokenizers()
                started = cpu_seconds()
                stats = build_pack(context)
                seconds[name].append(cpu_seconds() - started)
        rates = {name: megabytes / statistics.median(each) for name, each in seconds.items()}
        report(
            "tokenize, pretrain",
            megabytes=round(megabytes),
            tokens=stats["tokens"],
            documents_by_encoder=stats["measured"]["documents_by_encoder"],
            megabytes_per_cpu_second={name: round(rate, 1) for name, rate in rates.items()},
            share_of_the_bare_encoder=round(rates["pack"] / rates["bare"], 2),
        )
        sample = documents[:: max(1, len(documents) // options.sample)]
        for name, python in (("datasets", sys.executable), ("datatrove", options.datatrove_python)):
            if python:
                found = peer_run(python, name, sample, options.tokenizer)
                rate = sum(len(document.text.encode()) for document in sample) / 1e6 / found["seconds"]
                report(
                    f"tokenize, {name}",
                    tokens=found["tokens"],
                    megabytes_per_cpu_second=round(rate, 2),
                    times_faster=round(rates["pack"] / rate, 1),
                    times_faster_with_export=round(rates["pack and export"] / rate, 1),
                )


def peer_run(python: str, name: str, documents: list[Document], tokenizer: Path) -> dict[str, Any]:
    """A peer on the same documents."""
    with tempfile.TemporaryDirectory() as folder:
        columns = {"id": [d.id for d in documents], "text": [d.text for d in documents]}
        pq.write_table(pa.table(columns), Path(folder) / "part-00000.parquet")
        done = subprocess.run(
            [str(Path(python).absolute()), str(PEER), name, folder, str(tokenizer.resolve()), BOS, EOS],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,  # datatrove leaves a folder of logs where it runs
            env={"PATH": os.environ["PATH"], "HOME": folder, "HF_HUB_OFFLINE": "1"},
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure_shuffle(options: argparse.Namespace) -> None:
    """Shuffle, split and cut into parts, by the clock."""
    documents = read_corpus(options.corpus)
    megabytes = sum(len(document.text.encode()) for document in documents) / 1e6
    seconds = []
    with tempfile.TemporaryDirectory() as folder, LocalRunner() as runner:
        store = LocalStore(Path(folder))
        artifact = make_document_artifact(store, "language", in_parts(documents))
        config = ShardConfig(parts=8, validation_fraction=0.01)
        for run in range(options.runs + 1):
            context = context_of(store, "shard", config, {"documents": artifact}, str(run), runner)
            started = time.monotonic()
            build_shard(context)
            seconds.append(time.monotonic() - started)
    median = statistics.median(seconds[1:])  # the first one starts the workers
    report(
        "shuffle",
        megabytes=round(megabytes),
        workers=num_usable_cores(),
        seconds=round(median, 2),
        megabytes_per_second=round(megabytes / median),
        first_seconds=round(seconds[0], 2),
    )


def measure_loader(options: argparse.Namespace) -> None:
    """Batches from one process, and the delay to the first one at a position of the run."""
    with tempfile.TemporaryDirectory() as folder:
        shard = Path(folder) / "data/train/part-00000.tokens"
        shard.parent.mkdir(parents=True)
        tokens = np.random.default_rng(0).integers(0, 50_000, LOADER_TOKENS, np.uint16)
        shard.write_bytes(tokens.tobytes())
        ends = np.arange(0, LOADER_TOKENS, 700, dtype=np.int64)
        np.save(shard.with_suffix(".borders.npy"), ends)
        num_sequences = LOADER_TOKENS // SEQUENCE_LENGTH
        for is_isolated in (False, True):
            entry = SplitIndex(
                parts=[TokenPart(path="data/train/part-00000.tokens", tokens=LOADER_TOKENS, documents=len(ends))],
                tokens=LOADER_TOKENS,
                sequences=num_sequences,
                tokens_dropped=LOADER_TOKENS % SEQUENCE_LENGTH,
                tokens_padded=0,
            )
            index = SequenceIndex(
                layout="concat",
                isolate_documents=is_isolated,
                dtype="uint16",
                vocab_size=50_000,
                sequence_length=SEQUENCE_LENGTH,
                bos_token_id=0,
                eos_token_id=0,
                pad_token_id=0,
                splits={"train": entry},
            )
            rates, delays = [], {0.0: [], 0.5: [], 0.99: []}
            for _ in range(options.runs):
                rates.append(loader_rate(index, shard))
                for share, found in delays.items():
                    found.append(first_batch_seconds(index, shard, round(share * num_sequences)))
            report(
                "loader, documents isolated" if is_isolated else "loader",
                million_tokens_per_second=round(statistics.median(rates) / 1e6, 1),
                first_batch_ms={share: round(1000 * statistics.median(found), 2) for share, found in delays.items()},
            )


def loader_rate(index: SequenceIndex, shard: Path) -> float:
    """Tokens a second, in random order, as the tensors that training takes."""
    sequences = TokenSequences(index, "train", [shard])
    order = SampleOrder(len(sequences), 0)
    num_batches = 500
    started = time.perf_counter()
    for batch in range(num_batches):
        batch_of(sequences, order.sequence_of(np.arange(batch * LOADER_BATCH, (batch + 1) * LOADER_BATCH)))
    return num_batches * LOADER_BATCH * index.sequence_length / (time.perf_counter() - started)


def first_batch_seconds(index: SequenceIndex, shard: Path, position: int) -> float:
    """From nothing opened to the batch at a position."""
    started = time.perf_counter()
    sequences = TokenSequences(index, "train", [shard])
    order = SampleOrder(len(sequences), 0)
    batch_of(sequences, order.sequence_of(np.arange(position, position + LOADER_BATCH)))
    return time.perf_counter() - started


def main() -> None:
    """Runs one measurement."""
    measurements = {"tokenize": measure_tokenize, "shuffle": measure_shuffle, "loader": measure_loader}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measurement", choices=measurements)
    parser.add_argument("--corpus", type=Path, help="folder of make_bulk.py")
    parser.add_argument("--tokenizer", type=Path, help=f"a tokenizer.json that has {EOS}")
    parser.add_argument("--datatrove-python", help="interpreter that has datatrove")
    parser.add_argument("--sample", type=int, default=2000, help="documents that the peers are run on")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    report("machine", processor=platform.processor() or platform.machine(), cores=num_usable_cores())
    measurements[options.measurement](options)


if __name__ == "__main__":
    main()
