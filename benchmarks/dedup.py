"""What deduplication costs and finds, beside datatrove's MinHash and rensa.

    python -m venv X && X/bin/pip install "datatrove[io,processing]==0.10.1" "xxhash<4" spacy nltk
    python -m venv Y && Y/bin/pip install rensa pyarrow
    .venv/bin/python -m benchmarks.dedup pairs --datatrove-python X/bin/python --rensa-python Y/bin/python
    .venv/bin/python -m benchmarks.dedup bulk --corpus FOLDER --datatrove-python X/bin/python
    .venv/bin/python -m benchmarks.dedup exact --corpus FOLDER
    .venv/bin/python -m benchmarks.dedup growth --corpus FOLDER --corpus LARGER --corpus LARGEST
    .venv/bin/python -m benchmarks.dedup workers --corpus FOLDER

A corpus is what `make_bulk.py --format parquet` writes: parts with `id`, `text`, `source`, and `_truth/` with the
kind and cluster of every document. `pairs` makes its own: pairs of texts of known Jaccard similarity (sets of word
5-grams), otherwise unrelated. Costs are CPU seconds of all processes. Peers are run on `--sample` documents.
"""

import argparse
import json
import multiprocessing
import os
import platform
import random
import re
import resource
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pretrain.dedup.config import DedupConfig, MinHashConfig
from pretrain.dedup.shingles import sign_text, unit_hashes
from pretrain.dedup.stage import build
from pretrain.documents import Document, document_id, read_documents
from pretrain.runner import InlineRunner, LocalRunner, Runner
from pretrain.stage import StageContext
from pretrain.store import LocalStore
from tests.document_artifact import make_document_artifact

PEER = Path(__file__).resolve().parent / "dedup_peer.py"
SIMILARITIES = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5)
PAIRS_EACH = 400
NEAR_ONLY = DedupConfig(exact=None, minhash=MinHashConfig(max_cluster_fraction=1.0))
_PART_DOCUMENTS = 20_000


def cpu_seconds() -> float:
    """CPU seconds of this process and of those that it waited for."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def deduplicate(documents: list[Document], config: DedupConfig, workers: int = 0) -> dict[str, Any]:
    """The stage over documents: ids it removed, clusters by id, CPU and wall seconds, counts."""
    with tempfile.TemporaryDirectory() as folder:
        store = LocalStore(Path(folder))
        parts = [documents[start : start + _PART_DOCUMENTS] for start in range(0, len(documents), _PART_DOCUMENTS)]
        artifact = make_document_artifact(store, "filter", parts)

        def run(runner: Runner) -> dict[str, Any]:
            context = StageContext(
                stage="dedup",
                config=config,
                seed=0,
                inputs={"documents": artifact},
                external={},
                store=store,
                artifact_key="dedup/x",
                runner=runner,
                progress=lambda done, total, text: None,
            )
            return build(context)

        started, cpu = time.monotonic(), cpu_seconds()
        if workers:
            with LocalRunner(workers) as pool:
                stats = run(pool)
        else:
            stats = run(InlineRunner())
        seconds, cpu = time.monotonic() - started, cpu_seconds() - cpu
        written = store.root / "dedup/x"
        kept = {document.id for path in sorted(written.glob("data/*")) for document in read_documents(path)}
        clusters = {
            row["id"]: row["cluster"] for p in written.glob("clusters/*") for row in pq.read_table(p).to_pylist()
        }
    removed = {document.id for document in documents} - kept
    return {"removed": removed, "clusters": clusters, "cpu": cpu, "seconds": seconds, "stats": stats}


def read_corpus(
    folder: Path, most: int | None = None
) -> tuple[list[Document], dict[str, tuple[str, str, float | None]]]:
    """Documents, and the truth (kind, cluster, Jaccard) of each by id."""
    documents: list[Document] = []
    truth: dict[str, tuple[str, str, float | None]] = {}
    for path in sorted(folder.glob("part-*.parquet")):
        facts = pq.read_table(folder / "_truth" / path.name).to_pylist()
        rows = pq.read_table(path, columns=["id", "text", "source"]).to_pylist()
        for row, fact in zip(rows, facts, strict=True):
            identifier = document_id("bulk", row["id"], 0)
            documents.append(Document(identifier, row["text"], row["source"]))
            truth[identifier] = (fact["kind"], fact["cluster"], fact["jaccard"])
            if len(documents) == most:
                return documents, truth
    return documents, truth


def peer_run(python: str, name: str, documents: list[Document]) -> dict[str, Any]:
    """What a peer removes of the same documents, and its CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        columns = {"id": [d.id for d in documents], "text": [d.text for d in documents]}
        pq.write_table(pa.table(columns), Path(folder) / "part-00000.parquet")
        done = subprocess.run(
            [str(Path(python).absolute()), str(PEER), name, folder],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,  # datatrove leaves a folder of logs where it runs
            env={"PATH": os.environ["PATH"]},
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return {"removed": set(found["removed"]), "cpu": found["seconds"], "signature_cpu": found["signature_seconds"]}


def make_pairs(seed: int = 0, num_words: int = 400) -> list[tuple[Document, Document, float]]:
    """Pairs of texts with their Jaccard similarity, measured; words are drawn from 20,000."""
    rng = random.Random(seed)
    words = [f"{rng.choice('bcdfgklmnprst')}{rng.getrandbits(28):x}" for _ in range(20_000)]
    pairs = []
    for similarity in SIMILARITIES:
        while sum(abs(found - similarity) < 0.004 for *_, found in pairs) < PAIRS_EACH:
            left = rng.choices(words, k=num_words)
            right = list(left)
            for position in rng.sample(
                range(num_words), round(num_words * (1 - similarity) / (1 + similarity) / 4.8 + rng.uniform(-0.5, 0.9))
            ):
                right[position] = rng.choice(words)
            found = jaccard(left, right)
            if abs(found - similarity) < 0.004:
                texts = [" ".join(words) for words in (left, right)]
                number = 2 * len(pairs)
                one, two = (
                    Document(document_id("pairs", str(number + n), 0), text, "web") for n, text in enumerate(texts)
                )
                pairs.append((one, two, found))
    return pairs


def jaccard(left: list[str], right: list[str]) -> float:
    """Of the sets of word 5-grams."""
    one, two = ({tuple(words[start : start + 5]) for start in range(len(words) - 4)} for words in (left, right))
    return len(one & two) / len(one | two)


def report(name: str, **figures: Any) -> None:
    """One line of results."""
    print(json.dumps({"measured": name, **figures}), flush=True)


def measure_pairs(options: argparse.Namespace) -> None:
    """Share of the pairs at each similarity that are found, and F1 for `similarity >= 0.7`."""
    pairs = make_pairs()
    documents = [document for one, two, _ in pairs for document in (one, two)]
    runs = {"pretrain": deduplicate(documents, NEAR_ONLY)["removed"]}
    for name, python in peers(options):
        runs[name] = peer_run(python, name, documents)["removed"]
    for name, removed in runs.items():
        hits = [(found, one.id in removed or two.id in removed) for one, two, found in pairs]
        by_similarity = {s: sum(hit for f, hit in hits if abs(f - s) < 0.004) / PAIRS_EACH for s in SIMILARITIES}
        true = sum(hit and found >= 0.7 for found, hit in hits)
        precision = true / max(1, sum(hit for _, hit in hits))
        recall = true / sum(found >= 0.7 for found, _ in hits)
        at_08 = [hit for found, hit in hits if found >= 0.8 - 0.004]
        report(
            f"pairs, {name}",
            precision=round(precision, 4),
            recall=round(recall, 4),
            f1=round(2 * precision * recall / (precision + recall), 4),
            recall_from_08=round(sum(at_08) / len(at_08), 4),
            found=by_similarity,
        )


def measure_bulk(options: argparse.Namespace) -> None:
    """Decisions against the truth files, and documents per CPU second beside the peers."""
    documents, truth = read_corpus(options.corpus[0])
    ours = deduplicate(documents, DedupConfig(minhash=MinHashConfig(max_cluster_fraction=1.0)))
    first = {}
    for identifier, (kind, cluster, _) in truth.items():
        if kind == "unique":
            first[cluster] = identifier
    pairs = [(i, first[c], j) for i, (kind, c, j) in truth.items() if kind != "unique" and c in first and j is not None]
    wanted = [(one, two) for one, two, found in pairs if found >= 0.8]
    clusters = ours["clusters"]
    recall = sum(clusters.get(one, one) == clusters.get(two, two) for one, two in wanted) / max(1, len(wanted))
    together = [(i, c) for i, c in clusters.items() if i != c]
    unlabelled = [(one, two) for one, two in together if truth[one][1] != truth[two][1]]
    texts = {document.id: document.text for document in documents}
    equal = sum(texts_are_similar(texts[one], texts[two]) for one, two in unlabelled)
    right = len(together) - len(unlabelled)
    report(
        "bulk, pretrain",
        documents=len(documents),
        precision=round((right + equal) / max(1, len(together)), 4),
        precision_by_labels=round(right / max(1, len(together)), 4),
        pairs_without_label=len(unlabelled),
        of_these_from_07_in_fact=equal,
        recall_from_08=round(recall, 4),
        pairs_from_08=len(wanted),
        documents_per_cpu_second=round(len(documents) / ours["cpu"]),
        megabytes_per_cpu_second=round(ours["stats"]["bytes_in"] / ours["cpu"] / 1e6, 1),
        kinds_removed=Counter(truth[each][0] for each in ours["removed"]),
    )
    sample = documents[:: max(1, len(documents) // options.sample)]
    with fresh_processes(1) as process:  # as the peers: one that holds the sample alone
        signatures = process.submit(signature_rate, sample).result()
        near = process.submit(deduplicate, sample, NEAR_ONLY).result()
    report("signatures, pretrain", documents_per_cpu_second=round(signatures))
    report("sample, pretrain", documents_per_cpu_second=round(len(sample) / near["cpu"]), removed=len(near["removed"]))
    for name, python in peers(options):
        peer = peer_run(python, name, sample)
        report(
            f"sample, {name}",
            documents_per_cpu_second=round(len(sample) / peer["cpu"], 1),
            signatures_per_cpu_second=round(len(sample) / peer["signature_cpu"], 1),
            removed=len(peer["removed"]),
            agreement=round(1 - len(near["removed"] ^ peer["removed"]) / len(sample), 4),
            times_faster=round(len(sample) / near["cpu"] / (len(sample) / peer["cpu"]), 1),
            times_faster_signatures=round(signatures / (len(sample) / peer["signature_cpu"]), 1),
        )


def texts_are_similar(one: str, two: str) -> bool:
    """Whether the Jaccard similarity of their words' 5-grams is 0.7 or more, or the letters of both are the same."""
    left, right = (re.findall(r"\w+", text.casefold()) for text in (one, two))
    return left == right or (min(len(left), len(right)) > 4 and jaccard(left, right) >= 0.7)


def signature_rate(documents: list[Document]) -> float:
    """Documents per CPU second from text to band keys."""
    config = MinHashConfig()
    sign_text("to compile", unit_hashes("to compile", config), config)
    started = time.process_time()
    for document in documents:
        sign_text(document.text, unit_hashes(document.text, config), config)
    return len(documents) / (time.process_time() - started)


def measure_exact(options: argparse.Namespace) -> None:
    """Exact deduplication above the cost of reading and writing the same parts."""
    documents, _ = read_corpus(options.corpus[0])
    text_bytes = sum(len(document.text.encode()) for document in documents)
    with tempfile.TemporaryDirectory() as folder:
        parts = [documents[start : start + _PART_DOCUMENTS] for start in range(0, len(documents), _PART_DOCUMENTS)]
        artifact = make_document_artifact(LocalStore(Path(folder)), "filter", parts)
        started = time.process_time()
        for part in artifact.parts("data/"):
            with pq.ParquetFile(artifact.open_part(part)) as file, tempfile.NamedTemporaryFile() as copy:
                writer = pq.ParquetWriter(copy.name, file.schema_arrow, compression="zstd", compression_level=3)
                for _ in range(2):  # the stage reads texts twice: to hash, and to write
                    for index in range(file.num_row_groups):
                        table = file.read_row_group(index)
                        table["text"].to_pylist()
                for index in range(file.num_row_groups):
                    writer.write_table(file.read_row_group(index))
                writer.close()
        reading = time.process_time() - started
    ours = deduplicate(documents, DedupConfig(minhash=None))
    above = ours["cpu"] - reading
    report(
        "exact",
        megabytes=round(text_bytes / 1e6),
        cpu_seconds=round(ours["cpu"], 2),
        reading_and_writing_cpu_seconds=round(reading, 2),
        megabytes_per_cpu_second_above_reading=round(text_bytes / 1e6 / max(above, 1e-9)),
    )


def measure_growth(options: argparse.Namespace) -> None:
    """CPU seconds of corpora of several sizes."""
    for corpus in options.corpus:
        documents, _ = read_corpus(corpus)
        ours = deduplicate(documents, DedupConfig(minhash=MinHashConfig(max_cluster_fraction=1.0)))
        megabytes = ours["stats"]["bytes_in"] / 1e6
        report(
            "growth",
            megabytes=round(megabytes),
            cpu_seconds=round(ours["cpu"], 1),
            cpu_seconds_per_megabyte=round(ours["cpu"] / megabytes, 4),
        )


def measure_workers(options: argparse.Namespace) -> None:
    """Wall seconds with one worker and with two, and what two processes that share nothing gain on this machine.

    Of starting two workers too: the first ones of a run, for which numba and the like are loaded, and later ones.
    """
    starts = [start_seconds() for _ in range(options.runs + 1)]
    documents, _ = read_corpus(options.corpus[0])
    config = DedupConfig(minhash=MinHashConfig(max_cluster_fraction=1.0))
    halves = [documents[0::2], documents[1::2]]
    seconds: dict[str, list[float]] = {"one": [], "two": [], "in turn": [], "at once": []}
    for _ in range(options.runs):
        for name, workers in (("one", 1), ("two", 2)):
            seconds[name].append(deduplicate(documents, config, workers)["seconds"])
        for name, num_at_once in (("in turn", 1), ("at once", 2)):
            with fresh_processes(num_at_once) as processes:
                list(processes.map(signature_rate, [[]] * num_at_once))  # started and compiled
                started = time.monotonic()
                list(processes.map(deduplicate, halves, [config] * 2))
                seconds[name].append(time.monotonic() - started)
    median = {name: statistics.median(each) for name, each in seconds.items()}
    report(
        "workers",
        one=round(median["one"], 1),
        two=round(median["two"], 1),
        times_faster=round(median["one"] / median["two"], 2),
        two_apart_times_faster=round(median["in turn"] / median["at once"], 2),
        first_start_seconds=round(starts[0], 2),
        start_seconds=round(statistics.median(starts[1:]), 3),
    )


def start_seconds() -> float:
    """Seconds until two workers have run something, and have ended."""
    started = time.monotonic()
    with LocalRunner(2) as pool:
        list(pool.map(abs, [(str(number), number) for number in range(4)]))
    return time.monotonic() - started


def fresh_processes(num_processes: int) -> ProcessPoolExecutor:
    """Processes that hold nothing of this one."""
    return ProcessPoolExecutor(num_processes, multiprocessing.get_context("spawn"))


def peers(options: argparse.Namespace) -> list[tuple[str, str]]:
    """Names and interpreters of the peers that were given."""
    given = {"datatrove": options.datatrove_python, "rensa": options.rensa_python}
    return [(name, python) for name, python in given.items() if python]


def main() -> None:
    """Runs one measurement."""
    measurements = {
        "pairs": measure_pairs,
        "bulk": measure_bulk,
        "exact": measure_exact,
        "growth": measure_growth,
        "workers": measure_workers,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measurement", choices=measurements)
    parser.add_argument("--corpus", type=Path, action="append", default=[], help="folder of make_bulk.py")
    parser.add_argument("--datatrove-python", help="interpreter that has datatrove")
    parser.add_argument("--rensa-python", help="interpreter that has rensa")
    parser.add_argument("--runs", type=int, default=3, help="runs of `workers`, of which the median counts")
    parser.add_argument("--sample", type=int, default=2000, help="documents that the peers are run on")
    options = parser.parse_args()
    deduplicate([Document(document_id("", "", n), "to load the compiled loops", "") for n in range(2)], DedupConfig())
    report("machine", processor=platform.processor() or platform.machine(), python=platform.python_version())
    measurements[options.measurement](options)


if __name__ == "__main__":
    main()
