"""What filtering costs, beside datatrove and beside the course's own functions, and how far decisions agree.

    python -m venv X && X/bin/pip install "datatrove[processing]==0.10.1" "xxhash<4" spacy regex
    .venv/bin/python -m benchmarks.filter --corpus FOLDER --datatrove-python X/bin/python
    .venv/bin/python -m benchmarks.filter --corpus FOLDER --only course  # one of: datatrove, agreement, course, stage

FOLDER has parquet files with a column `text`, 200 MB or more of it. Costs are CPU seconds, medians of `--runs` runs,
peer and ours in turn; the peer's are measured on `--sample` documents spread evenly over the corpus, and so is the
ratio. `agreement` needs spaCy here too (`pip install 'pretrain[spacy]'`).
"""

import argparse
import heapq
import json
import os
import platform
import re
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.filter_reasons import REASONS
from pretrain.artifact import Artifact
from pretrain.documents import Document, document_id
from pretrain.filter.config import FilterConfig
from pretrain.filter.inputs import make_rules
from pretrain.filter.judgement import Judge
from pretrain.filter.stage import build
from pretrain.runner import LocalRunner
from pretrain.stage import StageContext
from pretrain.store import LocalStore
from tests.document_artifact import make_document_artifact

RULES = ("gopher_repetition", "gopher_quality", "fineweb", "c4")
PEER = Path(__file__).parent / "filter_peer.py"
PART_BYTES = 16 << 20


def read_texts(corpus: Path) -> list[str]:
    """The texts of every parquet file of a folder, in order of name."""
    paths = sorted(corpus.glob("*.parquet"))
    return [text for path in paths for text in pq.read_table(path, columns=["text"])["text"].to_pylist()]


def judge(rules: Sequence[str], words: str = "regex") -> Judge:
    """Rules with their defaults."""
    configs = [{"rule": rule} if rule == "course" else {"rule": rule, "words": words} for rule in rules]
    return Judge(make_rules(FilterConfig.model_validate({"rules": configs}), {}))


def cpu_seconds(action: Callable[[], Any]) -> float:
    """CPU seconds of this process that an action takes."""
    started = time.process_time()
    action()
    return time.process_time() - started


def judge_all(rules: Sequence[str], texts: Sequence[str]) -> float:
    """CPU seconds of rules together on texts, code loaded before."""
    decide = judge(rules)
    decide("To load the compiled loops. " * 20)
    return cpu_seconds(lambda: [decide(text) for text in texts])


def measure_datatrove(texts: list[str], sample: list[str], peer: str, num_runs: int) -> dict[str, float]:
    """Documents per CPU second, a document going from rule to rule while it is kept, and each rule alone."""
    theirs: list[dict[str, float]] = []
    ours: list[dict[str, float]] = []
    on_all: list[float] = []
    for _ in range(num_runs):
        theirs.append(run_peer(peer, sample)["seconds"])
        ours.append({name: judge_all([name], sample) for name in RULES})
        ours[-1]["together"] = judge_all(RULES, sample)
        on_all.append(judge_all(RULES, texts))
    found = {}
    for name in ("together", *RULES):
        their, our = (statistics.median(run[name] for run in runs) for runs in (theirs, ours))
        found[f"{name}: datatrove, documents/s"] = len(sample) / their
        found[f"{name}: ours, documents/s"] = len(sample) / our
        found[f"{name}: times as many"] = their / our
    found["together on all: documents/s"] = len(texts) / statistics.median(on_all)
    found["together on all: MB/s"] = num_megabytes(texts) / statistics.median(on_all)
    return found


def run_peer(peer: str, sample: list[str]) -> dict[str, Any]:
    """The decisions and CPU seconds of datatrove."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps(text) + "\n" for text in sample)
        file.flush()
        done = subprocess.run([peer, str(PEER), file.name], check=True, stdout=subprocess.PIPE)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def measure_agreement(sample: list[str], peer: str) -> dict[str, Any]:
    """Documents on which a rule alone keeps or drops as datatrove's filter does, and those with its reason too."""
    decisions = run_peer(peer, sample)["decisions"]
    found: dict[str, Any] = {"differences": []}
    for words in ("spacy", "regex"):
        agreed_on_all = [True] * len(sample)
        for name in RULES:
            decide = judge([name], words)
            drops = [decide(text).drop for text in sample]
            ours = [drop and REASONS[name][drop.reason] for drop in drops]
            if words == "spacy":
                found["differences"] += [
                    f"document {index}, {name}: {their or 'kept'} -> {drop or 'kept'}"
                    for index, (drop, our, their) in enumerate(zip(drops, ours, decisions[name], strict=True))
                    if our != their
                ]
            pairs = list(zip(ours, decisions[name], strict=True))
            agreed_on_all = [
                before and (our is None) == (their is None)
                for before, (our, their) in zip(agreed_on_all, pairs, strict=True)
            ]
            found[f"{words}: {name}: kept or dropped alike, %"] = 100 * share(
                (a is None) == (b is None) for a, b in pairs
            )
            found[f"{words}: {name}: with the same reason, %"] = 100 * share(a == b for a, b in pairs)
            differences = Counter(f"{b or 'kept'} -> {a or 'kept'}" for a, b in pairs if a != b)
            for difference, count in differences.most_common(5):
                found[f"{words}: {name}: {difference}"] = count
        found[f"{words}: all four alike, %"] = 100 * share(agreed_on_all)
    return found


def share(outcomes: Any) -> float:
    """The share of true ones."""
    return statistics.fmean(map(bool, outcomes))


def measure_course(texts: list[str], num_runs: int) -> dict[str, float]:
    """The course's rules on an Arrow table: ours, its own functions with `Dataset.filter` as in its notebook, and with
    `Dataset.map` to a column that says what stays.
    """
    import datasets

    datasets.disable_progress_bars()
    table = pa.table({"text": pa.array(texts, pa.large_string())})
    dataset = datasets.Dataset(table)
    ours: list[float] = []
    theirs: list[float] = []
    mapped: list[float] = []
    kept: list[int] = []
    decide = judge(["course"])
    num_kept(decide, table["text"].slice(0, 1))  # loads the compiled loop
    for _ in range(num_runs):
        dataset.cleanup_cache_files()
        measured: list[tuple[list[float], Callable[[], int]]] = [
            (theirs, lambda: filter_as_the_course(dataset)),
            (mapped, lambda: map_as_the_course(dataset)),
            (ours, lambda: num_kept(decide, table["text"])),
        ]
        for seconds, count in measured:
            kept.append(count())  # once unmeasured: what the one before left in the caches is not this one's cost
            seconds.append(cpu_seconds(count))
    if len(set(kept)) != 1:
        raise RuntimeError(f"the two keep different numbers of documents: {sorted(set(kept))}")
    return {
        "course, Dataset.filter: documents/s": len(texts) / statistics.median(theirs),
        "course, Dataset.map: documents/s": len(texts) / statistics.median(mapped),
        "ours: documents/s": len(texts) / statistics.median(ours),
        "times as many as by Dataset.filter": statistics.median(theirs) / statistics.median(ours),
        "times as many as by Dataset.map": statistics.median(mapped) / statistics.median(ours),
        "kept by all": kept[0],
    }


def num_kept(decide: Judge, texts: pa.ChunkedArray) -> int:
    """The number of texts of a column that stay, as the stage decides it: one by one where the column does not."""
    is_kept = decide.keeps(texts)
    undecided = texts.filter(pc.invert(pa.array(is_kept)))
    return sum(is_kept) + sum(decide(text).drop is None for text in undecided.to_pylist())


def filter_as_the_course(dataset: Any) -> int:
    """The number of documents that the course's two filters keep."""
    kept = dataset.filter(is_long_enough, load_from_cache_file=False, keep_in_memory=True)
    return len(kept.filter(has_few_repetitions, load_from_cache_file=False, keep_in_memory=True))


def map_as_the_course(dataset: Any) -> int:
    """The same number, by a column of decisions."""
    decided = dataset.map(
        lambda page: {"stays": is_long_enough(page) and has_few_repetitions(page)}, load_from_cache_file=False
    )
    return sum(decided["stays"])


def is_long_enough(page: dict[str, str]) -> bool:
    """As the course decides on paragraph length: DeepLearning.AI and Upstage, "Pretraining LLMs", lesson 2."""
    lines = page["text"].split("\n")
    return not (len(lines) < 3 or min(heapq.nlargest(3, [len(line) for line in lines])) < 3)


def has_few_repetitions(page: dict[str, str]) -> bool:
    """As the course decides on paragraph repetition."""
    text = page["text"]
    paragraphs = re.compile(r"\n{2,}").split(text.strip())
    seen: set[str] = set()
    num_chars, num_elements = 0, 0
    for paragraph in paragraphs:
        if paragraph in seen:
            num_chars += len(paragraph)
            num_elements += 1
        else:
            seen.add(paragraph)
    return not (num_elements / len(paragraphs) > 0.3 or num_chars / len(text) > 0.2)


def measure_stage(texts: list[str], num_runs: int) -> dict[str, float]:
    """The whole stage, parquet in and out, with one worker and with two: wall seconds, the workers' peak memory."""
    found: dict[str, float] = {}
    peaks: list[float] = []
    with tempfile.TemporaryDirectory(prefix="pretrain-benchmark-") as name:
        store = LocalStore(Path(name))
        documents = make_document_artifact(store, "download", parts_of(texts))
        for rules in (RULES, ("course",)):
            config = FilterConfig.model_validate({"rules": [{"rule": rule} for rule in rules]})
            seconds: dict[int, list[float]] = {1: [], 2: []}
            for run in range(num_runs):
                for num_workers, times in seconds.items():
                    with LocalRunner(num_workers) as runner:
                        context = stage_context(config, documents, store, runner, f"{rules[0]}{run}{num_workers}")
                        list(runner.map(warm, [(str(n), config) for n in range(4 * num_workers)]))
                        started = time.perf_counter()
                        build(context)
                        times.append(time.perf_counter() - started)
                        probes = [(str(n), None) for n in range(4 * num_workers)]
                        peaks += [peak for _, peak in runner.map(peak_rss_mebibytes, probes)]
            one, two = (statistics.median(seconds[n]) for n in (1, 2))
            title = "course" if rules == ("course",) else "four rules"
            found[f"{title}: one worker, MB/s"] = num_megabytes(texts) / one
            found[f"{title}: two workers, MB/s"] = num_megabytes(texts) / two
            found[f"{title}: two workers, times one"] = one / two
    found["peak RSS of a worker, MiB"] = max(peaks)
    return found


def warm(config: FilterConfig) -> None:
    """Loads what a worker loads once."""
    Judge(make_rules(config, {}))("To load the compiled loops. " * 20)


def peak_rss_mebibytes(_: None) -> float:
    """Of this process. (getrusage counts for a child what its parent held when it was made.)"""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def stage_context(
    config: FilterConfig, documents: Artifact, store: LocalStore, runner: LocalRunner, key: str
) -> StageContext[FilterConfig]:
    """The stage on an artifact of documents."""
    return StageContext(
        stage="filter",
        config=config,
        seed=0,
        inputs={"documents": documents},
        external={},
        store=store,
        artifact_key=f"filter/{key}",
        runner=runner,
        progress=lambda done, total, text: None,
    )


def parts_of(texts: list[str]) -> list[list[Document]]:
    """The texts as documents, so many a part that two workers end together."""
    parts: list[list[Document]] = [[]]
    num_chars = 0
    for index, text in enumerate(texts):
        if num_chars >= PART_BYTES:
            parts.append([])
            num_chars = 0
        parts[-1].append(Document(document_id("s", "f", index), text, "s"))
        num_chars += len(text)
    return parts


def num_megabytes(texts: list[str]) -> float:
    """UTF-8 bytes of texts, in millions."""
    return sum(len(text.encode()) for text in texts) / 1e6


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of parquet files with a column `text`")
    parser.add_argument("--datatrove-python", help="interpreter of an environment with datatrove")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sample", type=int, default=1000, help="documents that datatrove sees")
    parser.add_argument("--only", choices=["datatrove", "agreement", "course", "stage"])
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    chosen = parser.parse_args()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {time.strftime('%F')}"
    texts = read_texts(chosen.corpus)
    sample = texts[:: max(len(texts) // chosen.sample, 1)][: chosen.sample]
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "datatrove": lambda: measure_datatrove(texts, sample, chosen.datatrove_python, chosen.runs),
        "agreement": lambda: measure_agreement(sample, chosen.datatrove_python),
        "course": lambda: measure_course(texts, chosen.runs),
        "stage": lambda: measure_stage(texts, chosen.runs),
    }
    found: dict[str, Any] = {"machine": machine, "documents": len(texts), "MB": num_megabytes(texts)}
    for title, measure in measures.items():
        if chosen.only not in (None, title):
            continue
        if title in ("datatrove", "agreement") and not chosen.datatrove_python:
            parser.error(f"{title} needs --datatrove-python; the docstring says how to make one")
        found[title] = measure()
    if chosen.json:
        print(json.dumps(found))
        return
    for title, values in found.items():
        if not isinstance(values, dict):
            print(f"{title}: {values}")
            continue
        print(f"\n{title}")
        for what, value in values.items():
            if isinstance(value, list):
                print("".join(f"    {line}\n" for line in value), end="")
            else:
                print(f"  {what:70} {value:12.2f}")


if __name__ == "__main__":
    main()
