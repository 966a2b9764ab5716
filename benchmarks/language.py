"""The stage `language` beside the bare fastText model: accuracy by language, agreement of the cap, speed of a core.

    .venv/bin/python -m benchmarks.language --labelled langid.jsonl.gz --corpus 'corpora/*.jsonl.*'

`--labelled`: rows of `text` and `lang` (ISO 639-3). `--corpus`: JSON Lines with a key `text`; a document beyond
200,000 characters is left out. Speed is UTF-8 text by second of one core, see `best_seconds`.
The bare model is `fasttext.load_model(path).predict`, asked for one text and for a list, its line feeds made spaces
(it refuses them), which counts as its time.
"""

import argparse
import glob
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fasttext
import fsspec

from pretrain.documents import Document, document_id
from pretrain.external import ExternalFile, external_file
from pretrain.fasttext_model import as_line, load_model
from pretrain.filehash import FileHashes
from pretrain.language.config import LanguageConfig
from pretrain.language.identification import Judge
from pretrain.language.inputs import find_lid176
from pretrain.language.labels import normalized
from pretrain.language.stage import LanguagePart, identify_part
from pretrain.stage import UnitFiles
from pretrain.store import LocalStore
from tests.document_artifact import make_document_artifact

MAX_CORPUS_CHARS = 200_000
# Documents of about this length, made of paragraphs of one language, for the agreement of the cap.
JOINED_CHARS = 6000
CAPS = (500, 1000, 2000, 4000)
KEEP = {"en": 0.65}


def read_texts(pattern: str, key: str = "text") -> list[dict[str, Any]]:
    """The rows with a text in all files of a glob."""
    rows = []
    for path in sorted(glob.glob(pattern)):  # noqa: PTH207
        with fsspec.open(path, "rt", encoding="utf-8", compression="infer") as file:
            rows += [row for row in map(json.loads, file) if isinstance(row.get(key), str)]
    return rows


def model_path() -> Path:
    """The default model's file."""
    path = find_lid176()
    if path is None:
        raise SystemExit("lid.176.ftz is not installed: see CONTRIBUTING.md")
    return path


def expected(language: str) -> set[str]:
    """What counts as right for an ISO 639-3 code: lid176 has Norwegian `no` beside Nynorsk."""
    code = normalized(language).language
    return {code, "no"} if code == "nb" else {code}


def measure_accuracy(rows: Sequence[dict[str, Any]], bare: Any, known: set[str]) -> dict[str, Any]:
    """The share of texts whose language is found, by language: the stage by default, and the bare model."""
    judge = Judge(load_model(model_path(), "language.model"), LanguageConfig(keep=KEEP))
    total, ours, theirs = Counter[str](), Counter[str](), Counter[str]()
    for row in rows:
        right = expected(row["lang"])
        (label, *_), _ = bare.predict(row["text"].replace("\n", " "))
        total[row["lang"]] += 1
        ours[row["lang"]] += judge(row["text"]).language in right
        theirs[row["lang"]] += normalized(label).language in right
    by_language = {
        name: {"texts": total[name], "pretrain": ours[name] / total[name], "bare": theirs[name] / total[name]}
        for name in sorted(total)
    }
    have = [name for name in by_language if expected(name) & known]
    means = {who: statistics.fmean(by_language[name][who] for name in have) for who in ("pretrain", "bare")}
    return {"languages": len(total), "of_the_model": len(have), "macro_accuracy": means, "by_language": by_language}


def measure_agreement(texts: Sequence[str]) -> dict[str, Any]:
    """How often the start of a text gets the label, and the decision at two scores, of the whole text."""
    model = load_model(model_path(), "language.model")
    whole = [model.predict(as_line(text, None, "space")) for text in texts]
    found = {}
    for cap in CAPS:
        capped = [model.predict(as_line(text, cap, "space")) for text in texts]
        pairs = list(zip(whole, capped, strict=True))
        found[str(cap)] = {
            "label": statistics.fmean(a.label == b.label for a, b in pairs),
            **{
                f"en at {score}": statistics.fmean(
                    (a.label == "en" and a.score >= score) == (b.label == "en" and b.score >= score) for a, b in pairs
                )
                for score in (0.4, 0.65)
            },
        }
    return found


def joined(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Documents of one language each, made of its paragraphs in order."""
    texts, parts = [], dict[tuple[str, str], str]()
    for row in rows:
        key = (row["lang"], row.get("source", ""))
        parts[key] = parts.get(key, "") + row["text"] + "\n"
        if len(parts[key]) >= JOINED_CHARS:
            texts.append(parts.pop(key))
    return texts


def best_seconds(
    num_runs: int, texts: Sequence[str], by_text: dict[str, Callable[[str], Any]], whole: dict[str, Callable[[], Any]]
) -> dict[str, float]:
    """The seconds of each action over all texts, without what other work on the machine adds.

    Those of `by_text` take each text in turn, in an order that rotates, and count with their best time for it; those
    of `whole` with the least CPU seconds of a run.
    """
    best = {name: [float("inf")] * len(texts) for name in by_text}
    least = dict.fromkeys(whole, float("inf"))
    names = list(by_text)
    for run in range(num_runs):
        for number, text in enumerate(texts):
            for name in names[run % len(names) :] + names[: run % len(names)]:
                started = time.perf_counter()
                by_text[name](text)
                best[name][number] = min(best[name][number], time.perf_counter() - started)
        for name, action in whole.items():
            started = time.process_time()
            action()
            least[name] = min(least[name], time.process_time() - started)
    return {**{name: sum(seconds) for name, seconds in best.items()}, **least}


def measure_speed(texts: Sequence[str], bare: Any, num_runs: int, folder: Path) -> dict[str, float]:
    """MB of UTF-8 text a second of one core, by what did it."""
    model = load_model(model_path(), "language.model")
    off = Judge(model, LanguageConfig(keep=KEEP, max_chars=None))
    default = Judge(model, LanguageConfig(keep=KEEP))
    store = LocalStore(folder)
    documents = [Document(document_id("s", "f", i), text, "s") for i, text in enumerate(texts)]
    artifact = make_document_artifact(store, "dedup", [documents])
    file: ExternalFile = external_file(model_path(), "model", FileHashes())

    def stage(max_chars: int | None) -> None:
        config = LanguageConfig(keep=KEEP, max_chars=max_chars)
        unit = LanguagePart("part-00000", "language", artifact, artifact.parts()[0], file, config)
        identify_part(UnitFiles(store, f"language/{max_chars}"), unit)

    one_by_one = {
        "bare, one text": lambda text: bare.predict(text.replace("\n", " ")),
        "pretrain, cap off": off,
        "pretrain, default cap": default,
    }
    whole = {
        "bare, a list": lambda: bare.predict([text.replace("\n", " ") for text in texts]),
        "stage with reading and writing, cap off": lambda: stage(None),
        "stage with reading and writing, default cap": lambda: stage(LanguageConfig(keep=KEEP).max_chars),
    }
    seconds = best_seconds(num_runs, texts, one_by_one, whole)
    num_bytes = sum(len(text.encode()) for text in texts)
    return {name: round(num_bytes / 1e6 / each, 2) for name, each in seconds.items()}


def main() -> None:
    """Measures what is asked for and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labelled", required=True)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--every", type=int, default=1, help="take every n-th document of the corpus")
    options = parser.parse_args()
    bare = fasttext.load_model(str(model_path()))
    known = {normalized(label).language for label in bare.labels}
    labelled = read_texts(options.labelled)
    texts = [row["text"] for row in read_texts(options.corpus) if len(row["text"]) <= MAX_CORPUS_CHARS]
    texts = texts[:: options.every]
    lengths = sorted(map(len, texts))
    with tempfile.TemporaryDirectory() as folder:
        speed = measure_speed(texts, bare, options.runs, Path(folder))
    found = {
        "corpus": {"documents": len(texts), "chars": sum(lengths), "median_chars": lengths[len(lengths) // 2]},
        "accuracy": measure_accuracy(labelled, bare, known),
        "agreement_corpus": measure_agreement(texts),
        "agreement_joined": {"documents": len(joined(labelled)), **measure_agreement(joined(labelled))},
        "mb_per_second_of_a_core": speed,
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
